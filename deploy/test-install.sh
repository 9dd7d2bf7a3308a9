#!/usr/bin/env bash
# Tries install-worker.sh for real, in throw-away systems made by debootstrap and booted by systemd-nspawn.
#
#   deploy/test-install.sh [OPTIONS] [SUITE...]        suites: bookworm, trixie, jammy, noble [bookworm trixie]
#
#   --folder DIR       base systems and downloaded packages, kept for the next time [/var/tmp/dovi-test-install]
#   --mirror URL       where debootstrap finds the suites named after it [deb.debian.org, archive.ubuntu.com]
#   --binary FILE      dovi-consumer [target/release/dovi-consumer]
#   --producer FILE    dovi-producer: with it and --film, a broker is set up inside and the service converts the film
#   --film FILE        a short Profile 7 film
#
# As root, with debootstrap, systemd-container and 3 GB of disk. Not part of `make test`: it takes minutes and the net.
#
# The share is a stand-in: the helper that mount(8) calls for SMB is replaced by one that binds a folder or, while the
# file /nas-down is there, fails as the real one does. The real helpers are called once, and have no server to talk to.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
folder=/var/tmp/dovi-test-install mirror='' binary=$here/../target/release/dovi-consumer producer='' film=''
suites=()
while (($#)); do
  case $1 in
  --folder) folder=$2; shift ;;
  --mirror) mirror=$2; shift ;;
  --binary) binary=$2; shift ;;
  --producer) producer=$2; shift ;;
  --film) film=$2; shift ;;
  -*) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 2 ;;
  *) suites+=("$1") ;;
  esac
  shift
done
((${#suites[@]})) || suites=(bookworm trixie)
((EUID == 0)) || { echo 'test-install: this needs root' >&2; exit 2; }
for program in debootstrap systemd-nspawn nsenter; do
  command -v $program >/dev/null || { echo "test-install: $program is missing: apt-get install debootstrap systemd-container util-linux" >&2; exit 2; }
done
[[ -x $binary ]] || { echo "test-install: there is no $binary; cargo build --release -p consumer, or --binary FILE" >&2; exit 2; }

passed=0 failed=0 nspawn='' leader='' root=''
readonly secret=Br0ker-s3cret nas_secret=N4s-s3cret
check() { # text, command...
  local text=$1 out
  shift
  if out=$("$@" 2>&1); then
    passed=$((passed + 1))
    printf '  ok      %s\n' "$text"
  else
    failed=$((failed + 1))
    printf '  FAILED  %s\n' "$text"
    printf '%s\n' "$out" | tail -n 12 | sed 's/^/          /'
  fi
}
until_true() { # seconds, command...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.5
  done
}

# ---- the system

base() { # suite
  local dir=$folder/base-$1 from=$mirror components=main
  [[ ! -e $dir/.complete ]] || return 0
  case $1 in
  jammy | noble) from=${from:-http://archive.ubuntu.com/ubuntu} components=main,universe ;;
  *) from=${from:-http://deb.debian.org/debian} ;;
  esac
  echo "  debootstrap $1 from $from"
  rm -rf "$dir"
  nice -n 19 debootstrap --variant=minbase --components=$components --include=systemd,systemd-sysv,dbus,ca-certificates \
    "$1" "$dir" "$from" >"$folder/debootstrap-$1.log" 2>&1 || { tail -n 3 "$folder/debootstrap-$1.log" | sed 's/^/    /'; return 1; }
  touch "$dir/.complete"
}
container=(systemd-nspawn --quiet --register=no --keep-unit --machine=dovi-worker1 --hostname=worker1
  # A real machine lets a user lock some memory; nspawn does not, and libgcrypt inside ffmpeg says so on standard error.
  --system-call-filter=@memlock)
# In the system without booting it: what a chroot or an image builder sees. The network is the host's.
unbooted() { nice -n 19 "${container[@]}" --directory="$root" --bind="$folder/archives-$suite:/var/cache/apt/archives" --pipe "$@" </dev/null; }
boot() {
  # Its own network, so that its broker meets no other.
  "${container[@]}" --directory="$root" --boot --private-network --bind=/dev/autofs >"$root.console" 2>&1 </dev/null &
  nspawn=$!
  until_true 30 booting || { tail -n 20 "$root.console"; return 1; }
  until_true 240 booted || { tail -n 20 "$root.console"; return 1; }
}
booting() { leader=$(pgrep -P "$nspawn" | head -n 1) && [[ -n $leader ]]; }
# Looked up anew: nspawn's first child is a helper, which ends when the system's own first process is there.
booted() { booting && [[ $(inside systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; }
halt() {
  [[ -n $nspawn ]] || return 0
  kill -TERM "$nspawn" 2>/dev/null || true # nspawn asks systemd to power off
  local end=$((SECONDS + 180))
  while kill -0 "$nspawn" 2>/dev/null && ((SECONDS < end)); do sleep 0.3; done
  kill -KILL "$nspawn" 2>/dev/null || true
  wait "$nspawn" 2>/dev/null || true
  nspawn=''
}
trap halt EXIT
inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
snapshot() { # all that the installer could change
  find "$root" -xdev \( -path "$root/tmp" -o -path "$root/run" -o -path "$root/var/tmp" -o -path "$root/var/log" -o -path "$root/var/lib/systemd" \
    -o -path "$root/var/lib/rabbitmq" -o -path "$root/var/lib/dovi-fleet/scratch" -o -path "$root/srv/nas" -o -path "$root/var/cache" \) -prune \
    -o -printf '%P %y %m %U:%G %s %T@ %l\n' | sort >"$folder/$1"
}
unchanged() { diff "$folder/before" "$folder/after"; }

# The installer, its exit code, and what it must have said.
install_worker() { # where, exit code, pattern, options...
  local where=$1 want=$2 pattern=$3 code=0
  shift 3
  "$where" /opt/dovi/install-worker.sh "$@" >"$folder/out" 2>&1 || code=$?
  # nspawn's own complaint where /run is no tmpfs.
  sed -i '/^Attempted to remove disk file system/d' "$folder/out"
  cat "$folder/out" >>"$folder/all-output"
  cat "$folder/out"
  [[ $code == "$want" ]] || { echo "exit code $code, not $want"; return 1; }
  grep -qE -- "$pattern" "$folder/out" || { echo "did not say: $pattern"; return 1; }
}
show() { sed 's/^/      | /' "$folder/out"; }
mode_is() { [[ $(stat -c '%a' "$root$1") == "$2" && $(inside stat -c '%U:%G' "$1") == "$3" ]] || { inside stat -c '%a %U:%G' "$1"; return 1; }; }
absent() { local f; for f in "$@"; do [[ ! -e $root$f ]] || { echo "$f is there"; return 1; }; done; }
shows() { "${@:2}" | tee /dev/stderr | grep -qE -- "$1"; }
score() { inside systemd-analyze security --no-pager dovi-consumer.service | tail -n 1; }
no_secret_but() { # files that may hold it
  local found
  found=$(cd "$root" && grep -rlFf "$folder/patterns" etc usr/local var/lib/dovi-fleet var/log root/.bash_history 2>/dev/null | sort | paste -sd' ') || true
  [[ $found == "$*" ]] || { echo "found in: $found"; return 1; }
  ! grep -Ff "$folder/patterns" "$folder/all-output" || return 1
  ! inside journalctl --no-pager -q | grep -Ff "$folder/patterns"
}
watch_arguments() { # until the file is gone
  while [[ -e $folder/watching ]]; do
    nice -n 5 grep -haFf "$folder/patterns" /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >>"$folder/arguments" || true
    sleep 0.02
  done
}

# ---- what is tried

refusals() {
  local ok=(--broker 127.0.0.1 --share //nas/media)
  check 'help' install_worker unbooted 0 '^Usage: install-worker.sh' --help
  check 'unknown option' install_worker unbooted 2 'bad-option: there is no option' --brocker nas
  check 'a password in the URL' install_worker unbooted 2 'password-in-url' --broker amqp://u:p@nas
  check 'a share of no known kind' install_worker unbooted 2 'bad-share' --broker nas --share smb://nas/media
  check 'relative folders without a share' install_worker unbooted 2 'relative-folder' --broker nas
  check 'systemd does not run' install_worker unbooted 3 'no-systemd: systemd is here but does not run' "${ok[@]}"
  check 'no broker named' install_worker unbooted 2 'no-broker' --share //nas/media --no-start --dry-run
  check 'no password, and nobody to ask' install_worker unbooted 3 'no-password: the broker' "${ok[@]}" --no-start
  check 'no root' install_worker as_nobody 3 'not-root' "${ok[@]}"
  cp "$root/etc/os-release" "$folder/os-release"
  rm "$root/etc/os-release"
  printf 'ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora Linux 41"\n' >"$root/etc/os-release"
  check 'another distribution' install_worker unbooted 3 'unknown-distribution: Fedora Linux 41' "${ok[@]}"
  rm "$root/etc/os-release"
  ln -s ../usr/lib/os-release "$root/etc/os-release"
  printf '#!/bin/sh\necho "version GLIBC_2.99 not found" >&2; exit 1\n' >"$root/opt/dovi/bad"
  chmod 755 "$root/opt/dovi/bad"
  check 'a program that does not run here' install_worker unbooted 3 'program-does-not-run.*GLIBC_2.99' "${ok[@]}" --no-start --dry-run --binary /opt/dovi/bad
}
as_nobody() { unbooted setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

without_systemd() {
  local given=(--broker 127.0.0.1 --broker-password /opt/dovi/pw --credentials /opt/dovi/nas --uid 1234 --gid 1234 --no-start
    --share //127.0.0.1/media --share 127.0.0.1:/export --at '/mnt/other disk' --library films=films --memory 8G)
  snapshot before
  check 'dry run says what it would do' install_worker unbooted 0 'changes would be made; nothing was changed' "${given[@]}" --dry-run
  show
  snapshot after
  check 'dry run changed nothing' unchanged
  touch "$folder/watching"
  : >"$folder/arguments"
  watch_arguments &
  local watcher=$!
  check 'installed without systemd running (packages, user, files)' install_worker unbooted 0 'Not started' "${given[@]}"
  rm "$folder/watching"
  wait "$watcher"
  check 'no secret among the arguments of any process' not grep . "$folder/arguments"
  snapshot before
  check 'the same again' install_worker unbooted 0 'nothing to change' "${given[@]}"
  snapshot after
  check 'the same again changed nothing' unchanged
  if [[ -n $producer && -n $film ]]; then
    check 'a broker for the test' unbooted env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends rabbitmq-server
    unbooted systemctl --quiet disable rabbitmq-server epmd.socket >/dev/null 2>&1 || true
    install -m 755 "$producer" "$root/opt/dovi/dovi-producer"
    printf '127.0.0.1 localhost worker1\n' >"$root/etc/hosts"
    install -D "$film" "$root/srv/nas/films/Film (2020)/Film (2020).mkv"
  else
    install -D /dev/null "$root/srv/nas/films/Film (2020)/Film (2020).mkv"
  fi
  find "$root/srv/nas/films" -type f -exec sha256sum {} + >"$folder/films"
}

booted_system() {
  local smb=(--share //127.0.0.1/media)
  boot || { check 'the system boots' false; return; }
  check 'the service runs after the first boot' until_true 30 inside systemctl --quiet is-active dovi-consumer
  check 'real mount.cifs and mount.nfs, no server: the mount is named, with its words' install_worker inside 1 'mount-failed: //127.0.0.1/media'
  show
  check 'the NFS mount too' shows 'mount.nfs|No such device|nfs' inside journalctl --no-pager -q -o cat -u 'mnt-other\x20disk.mount'

  # From here on the stand-in.
  cat >"$root/usr/sbin/mount.cifs" <<'END'
#!/bin/bash
# mount.cifs WHAT WHERE -o OPTIONS
all=$*
file=${all#*credentials=}
[[ $(<"${file%%,*}") == *password=N4s-s3cret ]] || { echo 'mount error(13): Permission denied' >&2; exit 32; }
if [[ -e /nas-down ]]; then echo 'mount error(113): could not connect to 127.0.0.1' >&2; exit 32; fi
exec mount --bind /srv/nas "$2"
END
  chmod 755 "$root/usr/sbin/mount.cifs"
  chown -R 1234:1234 "$root/srv/nas"
  check 'the share alone; the NFS mount goes; doctor finds no broker' install_worker inside 1 '^failed *broker ' "${smb[@]}"
  show
  check 'man pages, one for each command, that man(1) can read' manuals
  check 'bash completes commands and options' completes
  check 'a test message: nobody is named yet, and it says so' shows 'nobody is named below .notify.targets' notify_test
  check "doctor's hint is printed" grep -q 'hint: ' "$folder/out"
  check 'units of the other share are gone' absent '/etc/systemd/system/mnt-other\x20disk.mount' '/etc/systemd/system/mnt-other\x20disk.automount'
  check 'the service runs all the same, and waits' inside systemctl --quiet is-active dovi-consumer

  check 'secrets: the password, for the service user alone' mode_is /etc/dovi-fleet/password 600 dovi:dovi
  check 'secrets: the credentials of the share, for root alone' mode_is /etc/dovi-fleet/share.credentials 600 root:root
  check 'the configuration, readable for the service' mode_is /etc/dovi-fleet/config.toml 640 root:dovi
  check 'no secret anywhere else: files, journal, output' no_secret_but etc/dovi-fleet/password etc/dovi-fleet/share.credentials
  check 'the user has the numbers asked for' shows 'uid=1234.dovi. gid=1234.dovi.' inside id dovi
  check 'systemd-analyze verify has nothing to say' quiet inside systemd-analyze verify --man=no /etc/systemd/system/dovi-consumer.service /etc/systemd/system/mnt-nas.mount /etc/systemd/system/mnt-nas.automount
  printf '      | %s\n' "$(score)"
  check 'systemd-analyze security: 2.5 or better' shows ': ([01]\.[0-9]|2\.[0-5]) ' score
  check 'systemd knows what it is at' until_true 60 shows '=(idle|ill|starting)' inside systemctl show dovi-consumer -p StatusText
  check 'memory limit' shows '=8589934592' inside systemctl show dovi-consumer -p MemoryMax

  touch "$root/nas-down"
  inside systemctl stop mnt-nas.mount 2>/dev/null || true
  for _ in 1 2 3 4 5 6 7 8; do inside stat /mnt/nas/films >/dev/null 2>&1 || true; done
  check 'the NAS away, eight tries: automount still there' inside systemctl --quiet is-active mnt-nas.automount
  halt
  boot || { check 'the system boots again' false; return; }
  check 'booted while the NAS is away: the service runs' until_true 30 inside systemctl --quiet is-active dovi-consumer
  rm "$root/nas-down"
  check 'the NAS is back: mounted at the first use' until_true 20 inside test -d /mnt/nas/films

  [[ -z $producer || -z $film ]] || with_broker "${smb[@]}"

  snapshot before
  check 'run again without options: nothing to change' install_worker inside "$ready" 'nothing to change'
  snapshot after
  check 'run again without options: changed nothing' unchanged
  echo '# by hand' >>"$root/etc/dovi-fleet/config.toml"
  check 'a configuration changed by hand is kept' install_worker inside "$ready" 'config.toml .yours; --reconfigure'
  check 'it is' grep -q '# by hand' "$root/etc/dovi-fleet/config.toml"
  check '--reconfigure writes it anew' install_worker inside "$ready" 'restart dovi-consumer.service' --reconfigure --name w1
  check 'and keeps the old one' grep -q '# by hand' "$root"/etc/dovi-fleet/config.toml.2*
  check 'with the same protection' mode_is "$(inside bash -c 'echo /etc/dovi-fleet/config.toml.2*')" 640 root:dovi
  check '--drain finish' install_worker inside "$ready" 'write .*10-install.conf' --drain finish
  check 'then stopping has no limit' shows '=infinity' inside systemctl show dovi-consumer -p TimeoutStopUSec
  inside systemctl kill --kill-who=main --signal=KILL dovi-consumer
  check 'killed: started again by systemd' until_true 60 restarted
  impatient
  inside systemctl kill --kill-who=main --signal=STOP dovi-consumer
  check 'hanging: ended by the watchdog and started again' until_true 90 restarted_by_watchdog
  inside rm /run/systemd/system/dovi-consumer.service.d/watchdog.conf
  inside systemctl daemon-reload && inside systemctl restart dovi-consumer
  if ((ready == 0)); then
    check 'a wrong password, from standard input: in the words of doctor' \
      install_worker inside 1 'failed *broker .*does not accept' --broker-password - <<<wrong
    check 'the right one: ready, and restarted with it' install_worker inside 0 'restart dovi-consumer.service' --broker-password - <<<"$secret"
  fi

  snapshot before
  check 'dry run of uninstall' install_worker inside 0 'changes would be made; nothing was changed' --uninstall --purge --dry-run
  snapshot after
  check 'it changed nothing' unchanged
  check 'uninstall' install_worker inside 0 '^uninstalled' --uninstall
  show
  check 'service, program and mount are gone' absent /usr/local/bin/dovi-consumer /etc/systemd/system/dovi-consumer.service \
    /etc/systemd/system/dovi-consumer.service.d /etc/systemd/system/mnt-nas.mount /etc/systemd/system/mnt-nas.automount \
    /usr/local/share/man/man1/dovi-consumer.1 /usr/local/share/man/man1/dovi-consumer-run.1 /usr/local/share/bash-completion/completions/dovi-consumer \
    /etc/systemd/system/multi-user.target.wants/dovi-consumer.service /etc/systemd/system/multi-user.target.wants/mnt-nas.automount /mnt/nas
  check 'configuration and secrets stay' test -s "$root/etc/dovi-fleet/config.toml" -a -s "$root/etc/dovi-fleet/password"
  check 'uninstall again' install_worker inside 0 'nothing to remove' --uninstall
  check 'installed again from what was kept' install_worker inside "$ready" 'changes made'
  check 'uninstall with purge' install_worker inside 0 '^uninstalled' --uninstall --purge
  check 'nothing is left' absent /etc/dovi-fleet /var/lib/dovi-fleet /usr/local/bin/dovi-consumer /mnt/nas
  check 'nor the user' not inside getent passwd dovi
  check 'at a terminal it asks for the passwords' at_terminal "${smb[@]}"
  check 'and puts them where they belong' shows "^$secret username=films password=$nas_secret\$" \
    inside bash -c 'cd /etc/dovi-fleet && cat password share.credentials | paste -sd" "'
  check 'uninstall with purge, once more' install_worker inside 0 '^uninstalled' --uninstall --purge
  check 'no unit failed' shows '^0 loaded units' inside systemctl list-units --failed --no-pager 'dovi*' 'mnt*'
  check 'the films are as they were' sha256sum --quiet --check "$folder/films"
  halt
}
# The share is asked for after the broker. script(1) is the terminal.
at_terminal() {
  printf '%s\n' "$secret" films "$nas_secret" |
    inside script -qec "/opt/dovi/install-worker.sh --broker 127.0.0.1 $* --no-start" /dev/null | tee /dev/stderr | grep -q 'Not started'
}
manuals() {
  local page count=0
  for page in "$root"/usr/local/share/man/man1/dovi-consumer*.1; do
    if ! grep -q '^\.SH NAME' "$page" || [[ $(stat -c '%a %U' "$page") != '644 root' ]]; then
      echo "$page"
      return 1
    fi
    count=$((count + 1))
  done
  ((count > 5)) || { echo "$count pages"; return 1; }
}
completes() {
  # As bash-completion does it: the file is read, and its function called.
  # shellcheck disable=SC2016 # the shell inside is to expand it
  inside bash -c 'source /usr/local/share/bash-completion/completions/dovi-consumer
    words() { COMP_WORDS=(dovi-consumer "$1") COMP_CWORD=1 COMPREPLY=(); "$(complete -p dovi-consumer | sed "s/.*-F \([^ ]*\).*/\1/")" dovi-consumer "$1" dovi-consumer; echo "${COMPREPLY[*]}"; }
    words doc; words --conf' | tee /dev/stderr | paste -sd' ' | grep -q 'doctor --config'
}
notify_test() { not inside /usr/local/bin/dovi-consumer notify test 2>&1; }
not() { ! "$@"; }
quiet() { local out; out=$("$@" 2>&1) || return; [[ -z $out ]] || { printf '%s\n' "$out"; return 1; }; }
restarted() { [[ $(inside systemctl show dovi-consumer -p NRestarts --value) -ge 1 ]] && inside systemctl --quiet is-active dovi-consumer; }
impatient() {
  inside mkdir -p /run/systemd/system/dovi-consumer.service.d
  inside tee /run/systemd/system/dovi-consumer.service.d/watchdog.conf <<<$'[Service]\nWatchdogSec=6s\nRestartSec=1s' >/dev/null
  inside systemctl daemon-reload && inside systemctl restart dovi-consumer
}
restarted_by_watchdog() { inside journalctl --unit=dovi-consumer --output=cat | grep -q 'Watchdog timeout' && inside systemctl --quiet is-active dovi-consumer; }

with_broker() {
  ready=0
  check 'the broker runs' broker_up
  local as=(runuser -u dovi -- /opt/dovi/dovi-producer)
  chmod 755 "$root/opt/dovi"
  check 'the producer sets up share and queues' inside "${as[@]}" setup --set broker.username=admin
  check 'a folder for results' inside install -d -o dovi -g dovi /mnt/nas/dovi/converted
  check 'doctor is content now' install_worker inside 0 '^Ready' "$@"
  show
  inside "${as[@]}" scan --set broker.username=admin --set library.stable_s=0 --set recipe.mode=copy >"$folder/scan" 2>&1 || true
  check 'the service converts the film inside its sandbox' until_true 180 converted
  [[ -n $(converted && echo 1) ]] || { cat "$folder/scan"; inside journalctl --no-pager -q -o cat -u dovi-consumer | tail -n 15; }
}
broker_up() {
  local user
  inside systemctl start rabbitmq-server && inside rabbitmqctl -q await_startup && inside rabbitmqctl -q add_vhost dovi || return
  # As an argument, for this test only: rabbitmqctl of RabbitMQ 4.0 waits for ever when the password comes through a pipe.
  for user in dovi-worker admin; do inside rabbitmqctl -q add_user $user "$secret" || return; done
  inside rabbitmqctl -q set_permissions -p dovi admin '.*' '.*' '.*' &&
    inside rabbitmqctl -q set_permissions -p dovi dovi-worker '^dovi\.ctl\..*$' '^dovi\.(work|events|ctl\..*)$' '^dovi\.(films(\.first)?|control|ctl\..*)$'
}
converted() { [[ -n $(find "$root/srv/nas/dovi/converted" -name '*.mkv' ! -name '.*' -uid 1234) && -n $(ls "$root/srv/nas/dovi/state/done" 2>/dev/null) ]]; }

mkdir -p "$folder"
# In a file, so that no search finds itself.
printf '%s\n' "$secret" "$nas_secret" >"$folder/patterns"
if command -v shellcheck >/dev/null; then
  check 'shellcheck' shellcheck "$here/install-worker.sh" "$here/test-install.sh"
else echo '  not tried: shellcheck is not installed'; fi
for suite in "${suites[@]}"; do
  echo "$suite"
  mkdir -p "$folder/archives-$suite"
  base "$suite" || { check "debootstrap $suite" false; continue; }
  root=$folder/run-$suite ready=1
  rm -rf "$root"
  cp -a --reflink=auto "$folder/base-$suite" "$root"
  rm -f "$root/.complete"
  : >"$folder/all-output"
  mkdir -p "$root/opt/dovi"
  cp -r "$here/install-worker.sh" "$here/systemd" "$root/opt/dovi/"
  install -m 755 "$binary" "$root/opt/dovi/dovi-consumer"
  (umask 077; echo "$secret" >"$root/opt/dovi/pw"; printf 'username=films\npassword=%s\n' "$nas_secret" >"$root/opt/dovi/nas")
  refusals
  without_systemd
  booted_system
  rm -rf --one-file-system "$root"
done
printf 'install: %d checks passed, %d failed\n' "$passed" "$failed"
((failed == 0))
