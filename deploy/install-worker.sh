#!/usr/bin/env bash
# Makes this machine a dovi-fleet worker; `install-worker.sh --help` says how. Safe to run again.
#
# Everything that changes the machine goes through `change`, `put` and `secret`: they count, keep quiet about what is
# right already, and do nothing in a dry run. Secrets go from a file or the terminal into a file and nowhere else: not
# into arguments, which every user of the machine can read, nor into the output.
# shellcheck disable=SC2016 # backquotes in messages are for the reader
set -euo pipefail
umask 022
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

here=$(cd "$(dirname "$0")" && pwd)
readonly etc=/etc/dovi-fleet var=/var/lib/dovi-fleet bin=/usr/local/bin/dovi-consumer units=/etc/systemd/system man=/usr/local/share/man/man1 complete=/usr/local/share/bash-completion/completions
readonly unit=dovi-consumer.service config=$etc/config.toml record=$etc/worker.install
readonly drop_in=$units/$unit.d/10-install.conf broker_secret=$etc/password share_secret=$etc/share.credentials

usage() {
  cat <<'END'
Makes this machine a dovi-fleet worker: tools, program, user, share, configuration, service.
For Debian 12 and 13, Ubuntu 22.04 and 24.04. Run it as root; run it again to change or update something.

Usage: install-worker.sh --broker HOST --share SOURCE [OPTIONS]
       install-worker.sh [OPTIONS]                what is not named stays as it was
       install-worker.sh --uninstall [--purge]

Share (leave it away if the films are mounted already):
  --share SOURCE         //nas/media (SMB) or nas:/volume1/media (NFS); mounted at its first use, again after
                         the NAS was away. May be given again, each with its own --at
  --at DIR               where the --share before it is mounted [/mnt/nas]
  --credentials FILE     SMB: lines username=..., password=..., domain=... ("-" = standard input)
                         [asked for at the terminal]
  --mount-options LIST   further mount options, after ours, for example vers=2.1 or actimeo=5

Library (relative folders lie in the first share):
  --library NAME=DIR     films; NAME as in the producer's library.roots. May be given again [films=films]
  --state DIR            the fleet's notes, share.state_dir [dovi/state]
  --output DIR           where converted films go, output.dir [dovi/converted]
  --scratch DIR          local disk, as large as the largest film [/var/lib/dovi-fleet/scratch]

Broker:
  --broker HOST|URL      amqp:// or amqps://HOST[:PORT]/VHOST; a name alone is amqp://HOST:5672/dovi
  --broker-user NAME     [dovi-worker]
  --broker-password FILE first line is the password ("-" = standard input) [asked for at the terminal]
  --ca FILE              amqps: the certificate authority (PEM) that signed the broker's certificate

Worker:
  --binary FILE          the program [dovi-consumer beside this script, the checkout's release build, or cargo]
  --uid N, --gid N       numbers of the service user, for shares that know users by number (NFS)
  --user NAME            service user, made if there is none [dovi]
  --name NAME            worker.name [host name]
  --drain now|finish     on `systemctl stop`: give the film back within two minutes, or finish it (hours) [now]
  --memory SIZE          MemoryMax of the service, for example 12G [90%]

What to do:
  --reconfigure          write config.toml anew (a copy of the old one is kept); else it is only written if absent
  --no-start             do not start the service, nor touch the share
  --any-distribution     try it on another distribution with apt and systemd
  --dry-run              print what would be done and do nothing
  --uninstall            remove service, program and mount; configuration, secrets and user stay
  --purge                with --uninstall: those too, and scratch. Nothing on the share is ever removed
  -h, --help

Exit codes: 0 done, and doctor is content; 1 done, but doctor or the mount found something, see its hint;
2 wrong options; 3 cannot be done on this machine. An error begins with its name, and says what to do.

Examples:
  install-worker.sh --broker 192.168.1.10 --broker-password pw --share //nas/media --credentials nas.txt
  install-worker.sh --broker nas --broker-password - --share nas:/volume1/media --uid 1000 --gid 1000 <pw
  install-worker.sh --binary ./dovi-consumer         update the program
END
}

# ---- saying and doing
dry='' changes=0
declare -A touched=() # by topic
fail() { # exit code, name, what happened, what to do
  printf 'install-worker: %s: %s\n' "$2" "$3" >&2
  [[ -z ${4:-} ]] || printf '  hint: %s\n' "$4" >&2
  exit "$1"
}
wrong() { fail 2 "$@"; }
line() { printf '%s %-9s %s\n' "$1" "$2" "$3"; }
kept() { line '=' "$1" "$2"; }
change() { # topic, text, command...
  line + "$1" "${dry:+would }$2"
  changes=$((changes + 1)) touched[$1]=1
  shift 2
  [[ -n $dry ]] || "$@"
}
dry_end() { printf '\ndry run: %d changes would be made; nothing was changed\n' "$changes"; }
write() { # file, mode, owner, content
  install -d -m 755 "$(dirname "$1")"
  local new
  new=$(mktemp "$1.XXXXXX") # 0600 from the start
  printf '%s' "$4" >"$new"
  chown "$3" "$new"
  chmod "$2" "$new"
  mv -f "$new" "$1"
}
same() { # file, mode, owner, content
  [[ -f $1 && ! -L $1 && $(stat -c '%a %U:%G' "$1") == "${2#0} $3" ]] && cmp -s "$1" <(printf '%s' "$4")
}
put() { # topic, file, mode, owner, content
  if same "${@:2}"; then kept "$1" "$2"; else change "$1" "write $2 ($3 $4)" write "${@:2}"; fi
}
plain() { # option, value: what may go into unit files and the configuration
  [[ -n $2 ]] || wrong empty-option "$1 needs a value"
  [[ $2 != *[[:cntrl:]]* ]] || wrong bad-option "$1 has a line break or another control character in it"
}
toml() { local s=${1//\\/\\\\}; printf '"%s"' "${s//\"/\\\"}"; }
# For unit files: % starts a specifier there, and words are quoted because of spaces.
unit_text() { printf '%s' "${1//%/%%}"; }
unit_word() { local s=${1//\\/\\\\}; s=${s//\"/\\\"}; printf '"%s"' "${s//%/%%}"; }

# ---- options; what an earlier run was told is the default
declare -A is=([user]=dovi [broker_user]=dovi-worker [scratch]=$var/scratch [drain]=now [uid]='' [gid]='' [memory]=''
  [mount_options]='' [made_user]='' [made_scratch]='' [broker]='' [name]='' [state]=dovi/state [output]=dovi/converted [ca]='')
shares=() ats=() libraries=() old_shares=() old_ats=() old_libraries=()
if [[ -r $record ]]; then
  while IFS='=' read -r key value; do
    case $key in
    share) old_shares+=("$value") ;;
    at) old_ats+=("$value") ;;
    library) old_libraries+=("$value") ;;
    *) [[ ! -v "is[$key]" ]] || is[$key]=$value ;;
    esac
  done <"$record"
fi
credentials='' password='' binary='' start=1 reconfigure='' uninstall='' purge='' any=''
told() { (($# > 1)) || wrong empty-option "$1 needs a value"; plain "$1" "$2"; }
while (($#)); do
  case $1 in
  --share) told "$@"; shares+=("$2"); ats+=(/mnt/nas); shift ;;
  --at) told "$@"; ((${#shares[@]})) || wrong bad-option '--at comes after its --share'; ats[-1]=$2; shift ;;
  --library) told "$@"; libraries+=("$2"); shift ;;
  --credentials) told "$@"; credentials=$2; shift ;;
  --broker-password) told "$@"; password=$2; shift ;;
  --binary) told "$@"; binary=$2; shift ;;
  --broker | --broker-user | --ca | --state | --output | --scratch | --uid | --gid | --user | --name | --drain | --memory | --mount-options)
    told "$@"; key=${1#--}; is[${key//-/_}]=$2; shift ;;
  --reconfigure) reconfigure=1 ;;
  --no-start) start='' ;;
  --any-distribution) any=1 ;;
  --dry-run) dry=+ ;;
  --uninstall) uninstall=1 ;;
  --purge) purge=1 ;;
  -h | --help) usage; exit ;;
  *) wrong bad-option "there is no option ${1@Q}" "install-worker.sh --help lists them" ;;
  esac
  shift
done
((${#shares[@]})) || { shares=("${old_shares[@]}"); ats=("${old_ats[@]}"); }
((${#libraries[@]})) || libraries=("${old_libraries[@]}")
((${#libraries[@]})) || libraries=(films=films)

check_options() {
  local i n
  for n in uid gid; do
    [[ ${is[$n]} =~ ^([1-9][0-9]{0,8})?$ ]] || wrong bad-option "--$n takes a number, and never 0: the worker is not root"
  done
  [[ ${is[user]} =~ ^[a-z_][a-z0-9_-]*$ && ${is[user]} != root ]] || wrong bad-option "--user ${is[user]@Q} is no name for a service user"
  [[ ${is[drain]} == now || ${is[drain]} == finish ]] || wrong bad-option '--drain is "now" or "finish"'
  [[ ${is[memory]} =~ ^([1-9][0-9]*[KMGT%]?)?$ ]] || wrong bad-option '--memory takes a size such as 12G'
  [[ -z $purge || -n $uninstall ]] || wrong bad-option '--purge goes with --uninstall only'
  [[ $credentials != - || $password != - ]] || wrong bad-option 'only one of --credentials and --broker-password can be "-"'
  if [[ -n ${is[broker]} && ${is[broker]} != *://* ]]; then is[broker]=amqp://${is[broker]}; fi
  [[ ${is[broker]} != *@* ]] ||
    wrong password-in-url '--broker has a user in it' 'every user can read arguments: use --broker-user and --broker-password FILE'
  [[ ${is[broker]} =~ ^(amqps?://[^/]+(/[^/]*)?)?$ ]] ||
    wrong bad-option "--broker ${is[broker]@Q}: a host name, amqp://HOST/VHOST or amqps://HOST/VHOST"
  if [[ ${is[broker]} =~ ^(amqps?)://([^/]+)$ ]]; then is[broker]=${is[broker]}/dovi; fi
  if [[ ${is[broker]} =~ ^amqp://([^:/]+|\[[^]]*\])/ ]]; then is[broker]=amqp://${BASH_REMATCH[1]}:5672/${is[broker]#amqp://*/}; fi
  for i in "${!shares[@]}"; do
    ats[i]=${ats[i]%/}
    [[ ${ats[i]} == /?*/?* ]] || wrong bad-option "--at ${ats[i]@Q}: an absolute path below a folder, such as /mnt/nas"
    [[ ${ats[i]} != *//* && ! ${ats[i]}/ =~ /\.\.?/ ]] || wrong bad-option "--at ${ats[i]@Q} is not a clean path"
    [[ ${shares[i]} == //[!/]*/?* || ${shares[i]} == [!-/]*:/* && ${shares[i]} != *://* ]] ||
      wrong bad-share "${shares[i]@Q} is neither SMB nor NFS" 'SMB: //nas/media  NFS: nas:/volume1/media'
    for ((n = 0; n < i; n++)); do [[ ${ats[n]} != "${ats[i]}" ]] || wrong bad-option "two shares at ${ats[i]}; give each its --at"; done
  done
  for i in "${!libraries[@]}"; do
    [[ ${libraries[i]} =~ ^[A-Za-z0-9_-]+=. ]] || wrong bad-option "--library ${libraries[i]@Q}: NAME=DIR, the name of letters, digits, - and _"
    libraries[i]=${libraries[i]%%=*}=$(absolute --library "${libraries[i]#*=}")
  done
  for n in state output; do is[$n]=$(absolute "--$n" "${is[$n]}"); done
  [[ ${is[scratch]} == /?* ]] || wrong bad-option '--scratch takes an absolute path'
  for n in "$credentials" "$password" "$binary"; do
    [[ -z $n || $n == - || -r $n && -f $n ]] || wrong no-such-file "$n cannot be read"
  done
}
absolute() { # option, folder
  if [[ $2 != /* ]] && ((${#shares[@]})); then printf '%s' "${ats[0]}/$2"
  elif [[ $2 == /* || -n $uninstall || -e $config && -z $reconfigure ]]; then printf '%s' "$2"
  else wrong relative-folder "$1 $2 is relative, and there is no --share in which it could lie" "give $1 as an absolute path"
  fi
}

check_machine() {
  ((EUID == 0)) || fail 3 not-root 'this must run as root' "sudo ${0@Q} ..."
  local id='' version='' name='this system' key value
  while IFS='=' read -r key value; do
    value=${value#[\"\']} value=${value%[\"\']}
    case $key in ID) id=$value ;; VERSION_ID) version=$value ;; PRETTY_NAME) name=$value ;; esac
  done < <(cat /etc/os-release 2>/dev/null)
  case $id:$version in
  debian:12 | debian:13 | ubuntu:22.04 | ubuntu:24.04) ;;
  *) [[ -n $any ]] || fail 3 unknown-distribution "$name is none of Debian 12 and 13, Ubuntu 22.04 and 24.04" \
    'with apt and systemd it may work all the same: --any-distribution' ;;
  esac
  command -v apt-get >/dev/null || fail 3 no-apt "$name has no apt-get" 'by hand: README, "A worker by hand"'
  command -v systemd-escape >/dev/null || fail 3 no-systemd "$name has no systemd" 'by hand: README, "A worker by hand"'
  running || [[ -z $start || -n $uninstall ]] ||
    fail 3 no-systemd 'systemd is here but does not run (a chroot or a container?)' '--no-start puts everything in place without starting it'
}
running() { [[ -d /run/systemd/system ]]; }
mount_unit() { systemd-escape --path --suffix="$2" "$1"; }

# ---- packages and program
packages() {
  # A fresh machine updates itself just then, and holds the lock.
  local want=(ffmpeg mkvtoolnix) missing=() wait=(-o DPkg::Lock::Timeout=600) p s log
  for s in "${shares[@]}"; do if [[ $s == //* ]]; then want+=(cifs-utils); else want+=(nfs-common); fi; done
  for p in $(printf '%s\n' "${want[@]}" | sort -u); do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || missing+=("$p")
  done
  ((${#missing[@]})) || { kept packages "$(printf '%s\n' "${want[@]}" | sort -u | paste -sd' ')"; return; }
  change packages "apt-get install ${missing[*]}" true
  [[ -z $dry ]] || return 0
  log=$(mktemp)
  apt-get -qq "${wait[@]}" update >"$log" 2>&1 </dev/null || echo '  some package lists could not be fetched; trying with those that are there' >&2
  apt-get -qq "${wait[@]}" -o Dpkg::Use-Pty=0 install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null || {
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail 3 packages-failed "${missing[*]} could not be installed; apt's words are above" \
      'Ubuntu keeps ffmpeg and mkvtoolnix in "universe": add-apt-repository universe'
  }
  rm -f "$log"
}

program() {
  local from=$binary repo=$here/.. words
  for words in "$here/dovi-consumer" "$repo/target/release/dovi-consumer"; do
    [[ -n $from || ! -x $words ]] || from=$words
  done
  if [[ -z $from && -f $repo/consumer/Cargo.toml ]] && command -v cargo >/dev/null; then
    change program 'build it: cargo build --release --locked -p consumer' build "$repo"
    [[ -z $dry ]] || return 0
    from=$repo/target/release/dovi-consumer
  fi
  if [[ -z $from ]]; then
    [[ -x $bin ]] || fail 3 no-program 'no dovi-consumer beside this script, no build in the checkout, and no cargo to make one' \
      'build it with `cargo build --release -p consumer` on any machine, and give it with --binary FILE'
    kept program "$bin"
    return
  fi
  words=$("$from" --version 2>&1) || fail 3 program-does-not-run "$from: ${words:-no answer}" \
    'it was built for another machine or a newer distribution: build it on the oldest one you use'
  if cmp -s "$from" "$bin"; then kept program "$bin, $words"; else change program "install $bin, $words" place "$from"; fi
}
build() {
  local as=()
  [[ -z ${SUDO_USER:-} ]] || as=(sudo -u "$SUDO_USER" -H)
  (cd "$1" && "${as[@]}" cargo build --release --locked -p consumer </dev/null)
}
# By rename: a running program cannot be written to.
place() { install -m 755 "$1" "$bin.new" && mv -f "$bin.new" "$bin" && "$bin" man "$man" && install -d "$complete" && "$bin" completions bash >"$complete/dovi-consumer"; }

# ---- user
service_user() {
  local user=${is[user]} uid=${is[uid]} gid=${is[gid]} args=() other group
  if getent passwd "$user" >/dev/null; then
    [[ ${uid:-$(id -u "$user")}:${gid:-$(id -g "$user")} == "$(id -u "$user"):$(id -g "$user")" ]] ||
      fail 3 other-uid "the user $user is here with UID $(id -u "$user"), GID $(id -g "$user")" 'give another --user, or change it by usermod'
    [[ $(id -u "$user") != 0 ]] || fail 3 root-user "$user is root under another name" 'give another --user'
    kept user "$user, UID $(id -u "$user"), GID $(id -g "$user")"
  else
    if [[ -n $uid ]]; then
      other=$(getent passwd "$uid" | cut -d: -f1) || true
      [[ -z $other ]] || fail 3 uid-taken "UID $uid belongs to $other" "run the worker as that user: --user $other"
      args+=(--uid "$uid")
    fi
    args+=(--system --home-dir "$var" --no-create-home --shell /usr/sbin/nologin)
    if [[ -z $gid ]]; then args+=(--user-group)
    else
      getent group "$gid" >/dev/null || change user "make the group $user, GID $gid" groupadd --gid "$gid" "$user"
      args+=(--gid "$gid")
    fi
    change user "make the service user $user${uid:+, UID $uid}${gid:+, GID $gid}" useradd "${args[@]}" "$user"
    is[made_user]=$user
  fi
  # Graphics chips; only where the groups are.
  for group in render video; do
    getent group "$group" >/dev/null || continue
    [[ " $(id -nG "$user" 2>/dev/null) " == *" $group "* ]] || change user "add $user to the group $group (graphics chips)" usermod -aG "$group" "$user"
  done
}

# ---- secrets
# Before anything is changed.
must_be_known() { # file, source, question, option
  [[ -n $2 || -f $1 || -n $dry || -t 0 ]] || fail 3 no-password "$3 is needed, and there is no terminal to ask at" "give it in a file: $4 FILE"
}
secret() { # topic, file, owner, source, question, check
  local text=
  case $4 in
  '') [[ ! -f $2 ]] || { put "$1" "$2" 0600 "$3" "$(<"$2")"$'\n'; return; }
    [[ -z $dry ]] || { change "$1" "ask for $5 and write $2 (0600 $3)"; return; }
    text=$("ask_$1" "$5") ;;
  -) if [[ -n $dry && -t 0 ]]; then text=; else text=$(cat); fi ;;
  *) text=$(<"$4") ;;
  esac
  text=$("$6" "$text") || exit
  put "$1" "$2" 0600 "$3" "$text"$'\n'
}
ask_password() { local p; read -rsp "Password of ${is[broker_user]} at ${is[broker]}: " p && echo >&2 && printf '%s' "$p"; }
ask_share() {
  local u p
  read -rp "User at ${shares[0]}: " u && read -rsp 'Password: ' p && echo >&2 && printf 'username=%s\npassword=%s' "$u" "$p"
}
first_line() { local l=${1%%$'\n'*}; l=${l%$'\r'}; [[ -n $l ]] || fail 2 no-password "the broker's password is empty"; printf '%s' "$l"; }
credentials_of() {
  local t=${1//$'\r'/}
  [[ $'\n'$t =~ $'\n'\ *user(name)?\ *= && $'\n'$t =~ $'\n'\ *pass(word)?\ *= ]] ||
    fail 2 bad-credentials 'the credentials lack the line username=... or password=...'
  printf '%s' "$t"
}

# ---- share: a mount unit each, and an automount unit that starts it at the first access
share_units() {
  local i what where type options mount automount uid gid
  uid=$(id -u "${is[user]}" 2>/dev/null || echo "${is[uid]:-UID}") gid=$(id -g "${is[user]}" 2>/dev/null || echo "${is[gid]:-GID}")
  mount_units=() automounts=()
  for i in "${!shares[@]}"; do
    what=${shares[i]} where=${ats[i]}
    mount=$(mount_unit "$where" mount) automount=$(mount_unit "$where" automount)
    mount_units+=("$mount") automounts+=("$automount")
    [[ -e $units/$mount ]] || ! { findmnt --tab-file /etc/fstab --noheadings "$where" >/dev/null 2>&1 || mountpoint -q "$where"; } ||
      fail 3 mounted-otherwise "$where is mounted already, or in /etc/fstab" 'to use that as it is: no --share, and absolute folders'
    if [[ $what == //* ]]; then
      type=cifs
      options="credentials=$share_secret,uid=$uid,gid=$gid,file_mode=0664,dir_mode=0775,vers=3,noserverino,nodev,nosuid,noexec"
    else
      # Hard: a write waits for the server instead of being lost. lookupcache: another worker may just have made what was not there.
      type=nfs options=hard,lookupcache=positive,noatime,nodev,nosuid,noexec
    fi
    options+=,_netdev${is[mount_options]:+,${is[mount_options]}}
    # Without StartLimitIntervalSec=0, five failures in ten seconds end the automount unit for good, and the share does
    # not come back when the NAS does.
    put share "$units/$mount" 0644 root:root "# Written by install-worker.sh
[Unit]
Description=dovi-fleet share at $(unit_text "$where")
StartLimitIntervalSec=0

[Mount]
What=$(unit_text "$what")
Where=$(unit_text "$where")
Type=$type
Options=$(unit_text "$options")
TimeoutSec=60
"
    put share "$units/$automount" 0644 root:root "# Written by install-worker.sh
[Unit]
Description=dovi-fleet share at $(unit_text "$where"), mounted at its first use

[Automount]
Where=$(unit_text "$where")

[Install]
WantedBy=multi-user.target
"
  done
}
# Shares that an earlier run mounted and this one does not.
old_share_units() {
  local where found
  for where in "${old_ats[@]}"; do
    found=
    [[ -n $uninstall ]] || case " ${automounts[*]-} " in *" $(mount_unit "$where" automount) "*) found=1 ;; esac
    [[ -n $found ]] || remove_share "$where"
  done
}
remove_share() {
  local mount automount
  mount=$(mount_unit "$1" mount) automount=$(mount_unit "$1" automount)
  [[ -e $units/$mount || -e $units/$automount ]] || return 0
  change unmount "unmount $1 and remove $mount, $automount" unmount "$mount" "$automount"
  # Only ever an empty folder.
  [[ -n $dry || ! -d $1 ]] || mountpoint -q "$1" || rmdir --ignore-fail-on-non-empty "$1"
}
unmount() {
  off "$2" || true
  ! running || systemctl --quiet stop "$1" 2>/dev/null ||
    fail 3 still-mounted 'the share cannot be unmounted: something uses it' "systemctl status ${1@Q}; lsof finds who"
  rm -f "$units/$1" "$units/$2"
}

# ---- configuration and service
config_text() {
  local l
  printf '# Every setting: docs/CONFIGURATION.md. `dovi-consumer config show` prints what is in force.\n\n'
  printf '[broker]\nurl = %s\nusername = %s\npassword_file = %s\n' "$(toml "${is[broker]}")" "$(toml "${is[broker_user]}")" "$(toml "$broker_secret")"
  [[ -z ${is[ca]} ]] || printf 'ca_file = %s\n' "$(toml $etc/ca.pem)"
  printf '\n# The names must be the same on every machine, the folders need not.\n[library.roots]\n'
  for l in "${libraries[@]}"; do printf '%s = %s\n' "${l%%=*}" "$(toml "${l#*=}")"; done
  printf '\n[share]\nstate_dir = %s\n\n[output]\ndir = %s\n\n[scratch]\ndir = %s\n' "$(toml "${is[state]}")" "$(toml "${is[output]}")" "$(toml "${is[scratch]}")"
  [[ -z ${is[name]} ]] || printf '\n[worker]\nname = %s\n' "$(toml "${is[name]}")"
}
configuration() {
  local group text old=''
  group=$(id -gn "${is[user]}" 2>/dev/null || echo "${is[user]}")
  if [[ -n ${is[ca]} && ${is[ca]} != "$etc/ca.pem" ]]; then
    [[ -r ${is[ca]} ]] || wrong no-such-file "${is[ca]} cannot be read"
    put broker $etc/ca.pem 0644 root:root "$(<"${is[ca]}")"$'\n'
    is[ca]=$etc/ca.pem
  fi
  secret password "$broker_secret" "${is[user]}:$group" "$password" "the broker's password" first_line
  [[ " ${shares[*]}" != *' //'* ]] ||
    secret share "$share_secret" root:root "$credentials" 'the user and password of the share' credentials_of
  text=$(config_text)$'\n'
  if [[ -e $config && -z $reconfigure ]]; then
    same "$config" 0640 "root:$group" "$text" || old=' (yours; --reconfigure writes it from the options)'
    kept config "$config$old"
    return
  fi
  if [[ -e $config ]] && ! same "$config" 0640 "root:$group" "$text"; then
    old=$config.$(date -u +%Y%m%dT%H%M%SZ)
    change config "keep the old one as $old" cp -p "$config" "$old"
  fi
  put config "$config" 0640 "root:$group" "$text"
}
scratch() {
  local dir=${is[scratch]} owner
  owner=${is[user]}:$(id -gn "${is[user]}" 2>/dev/null || echo "${is[user]}")
  [[ -d $dir ]] && { kept scratch "$dir"; return; }
  [[ $dir == "$var"/* ]] && { [[ -d $var ]] || change scratch "make $var" install -d -o "${owner%:*}" -g "${owner#*:}" -m 750 "$var"; }
  change scratch "make $dir" install -d -o "${owner%:*}" -g "${owner#*:}" -m 750 "$dir"
  is[made_scratch]=$dir
}
drop_in_text() {
  local i paths l p
  printf '# Written by install-worker.sh, and again each time it runs. Your own settings: systemctl edit dovi-consumer\n'
  if ((${#automounts[@]})); then
    # Not RequiresMountsFor=: a NAS that is away when the machine boots would make the start fail for good, for systemd
    # restarts no unit whose dependency failed. The worker itself waits for its share.
    printf '[Unit]\nWants=%s\nAfter=%s\n\n' "${automounts[*]}" "${automounts[*]}"
  fi
  printf '[Service]\nUser=%s\n' "${is[user]}"
  paths=("${ats[@]}")
  for p in "${is[state]}" "${is[output]}" "${is[scratch]}"; do
    l=
    for i in "${!ats[@]}"; do [[ $p/ != "${ats[i]}"/* ]] || l=1; done
    [[ -n $l || $p != /* ]] || paths+=("$p")
  done
  while read -r p; do printf 'ReadWritePaths=%s\n' "$(unit_word "-$p")"; done < <(printf '%s\n' "${paths[@]}" | sort -u)
  for p in "${libraries[@]#*=}" "${paths[@]}"; do
    if [[ $p/ =~ ^/(home|root|run/user)/ ]]; then printf 'ProtectHome=no\n'; break; fi
  done
  [[ -z ${is[memory]} ]] || printf 'MemoryMax=%s\n' "${is[memory]}"
  [[ ${is[drain]} == now ]] || printf 'ExecStart=\nExecStart=%s run --drain finish\nTimeoutStopSec=infinity\n' "$bin"
}
record_text() {
  local i k
  printf '# What install-worker.sh was told; it reads this when it runs again. No secrets.\n'
  for i in "${!shares[@]}"; do printf 'share=%s\nat=%s\n' "${shares[i]}" "${ats[i]}"; done
  printf 'library=%s\n' "${libraries[@]}"
  for k in $(printf '%s\n' "${!is[@]}" | sort); do printf '%s=%s\n' "$k" "${is[$k]}"; done
}
service() {
  put service "$units/$unit" 0644 root:root "$(<"$here/systemd/$unit")"$'\n'
  put service "$drop_in" 0644 root:root "$(drop_in_text)"$'\n'
}

# ---- starting, and whether it works
start_all() {
  local a topic restart=''
  for topic in program password broker share config service; do [[ ! -v "touched[$topic]" ]] || restart=1; done
  [[ -n $dry ]] || ! running || systemctl daemon-reload
  if [[ -n $start && -v 'touched[share]' ]] && running; then
    for a in "${!automounts[@]}"; do
      systemctl --quiet is-active "${automounts[a]}" || continue
      change share "stop the service and unmount ${ats[a]}, to mount it in the new way" stop_share "${mount_units[a]}" "${automounts[a]}"
    done
  fi
  for a in "${automounts[@]}"; do
    enable share "$a"
    [[ -z $start ]] || begin share "$a"
  done
  enable service "$unit"
  [[ -n $start ]] || return 0
  if [[ -n $restart ]] && systemctl --quiet is-active "$unit" 2>/dev/null; then
    change service "restart $unit; a film in work goes back to the queue" systemctl restart "$unit"
  else begin service "$unit"; fi
}
enable() { # topic, unit
  [[ $(systemctl is-enabled "$2" 2>/dev/null) != enabled ]] || { kept "$1" "$2 enabled"; return; }
  change "$1" "enable $2" systemctl --quiet enable "$2"
}
begin() { # topic, unit
  ! systemctl --quiet is-active "$2" 2>/dev/null || { kept "$1" "$2 active"; return; }
  change "$1" "start $2" systemctl start "$2" || fail 3 start-failed "$2 does not start" "journalctl -u $2"
}
off() { if running; then systemctl --quiet disable --now "$1"; else systemctl --quiet disable "$1"; fi; }
stop_share() {
  ! systemctl --quiet is-active "$unit" || systemctl stop "$unit"
  systemctl stop "$2" "$1" || fail 3 still-mounted 'the share cannot be unmounted: something uses it' "lsof finds who"
}
mounts_work() {
  local i words worst=0
  for i in "${!ats[@]}"; do
    words=$(timeout 90 stat --file-system --format=%T "${ats[i]}/." 2>&1) && [[ $words != autofs ]] && continue
    printf 'install-worker: mount-failed: %s is not mounted at %s\n' "${shares[i]}" "${ats[i]}" >&2
    journalctl --quiet --no-pager --output=cat --lines=20 --since=-3min --unit="${mount_units[i]}" 2>/dev/null |
      grep -v -e 'ount process exited' -e '^Failed to mount' -e 'Failed with result' -e '^Mounting' -e '^Refer to' | tail -n 3 | sed 's/^/  /' >&2 || true
    if [[ ${shares[i]} == //* ]]; then
      printf '  hint: error(13): wrong user or password, run again with --credentials; (2): no such share; (11x): the NAS does not answer\n' >&2
    else
      printf '  hint: `showmount -e %s` lists what the NAS exports, and this machine must be allowed there\n' "${shares[i]%%:/*}" >&2
    fi
    worst=1
  done
  return $worst
}
# As the service would see it: the same user, the same sandbox.
doctor() {
  local key value props=()
  while IFS='=' read -r key value; do
    case $key in
    '' | '#'* | '['* | Type | NotifyAccess | Watchdog* | Exec* | Restart* | Timeout* | KillMode | *ExitStatus | OOMPolicy) ;;
    ReadWritePaths) props+=(-p "$key=${value//%%/%}") ;;
    *) props+=(-p "$key=$value") ;;
    esac
  done < <(sed -n '/^\[Service\]/,/^\[/{/^\[/!p}' "$units/$unit" "$drop_in")
  (cd / && systemd-run --quiet --pipe --wait --collect "${props[@]}" "$bin" doctor)
}

install_all() {
  local worst=0
  mount_units=() automounts=()
  [[ -r $here/systemd/$unit ]] || fail 3 no-unit "$here/systemd/$unit is not there" 'copy the whole deploy folder, not the script alone'
  [[ -n ${is[broker]} || -e $config && -z $reconfigure ]] ||
    wrong no-broker '--broker is missing' '--broker HOST, the machine on which docker compose runs RabbitMQ'
  must_be_known "$broker_secret" "$password" "the broker's password" --broker-password
  [[ " ${shares[*]}" != *' //'* ]] || must_be_known "$share_secret" "$credentials" "the share's user and password" --credentials
  packages
  service_user
  program
  configuration
  share_units
  old_share_units
  scratch
  service
  put record "$record" 0644 root:root "$(record_text)"$'\n'
  start_all
  [[ -z $dry ]] || { dry_end; return; }
  if ((changes)); then printf '\n%d changes made\n' "$changes"; else printf '\nnothing to change\n'; fi
  [[ -n $start ]] || { printf 'Not started. Next: boot the machine, or run this again without --no-start\n'; return; }
  mounts_work || worst=1
  printf '\ndovi-consumer doctor, as the service:\n'
  doctor || worst=1
  if ((worst)); then
    printf '\nInstalled, but not ready: the hints above say what to do. The worker waits, and goes on by itself when share and broker\n'
    printf 'are there; after other corrections run this script again. What it says: journalctl -u dovi-consumer -f\n'
  else
    printf '\nReady. Queue films with `dovi-producer scan`.\n'
    printf '  what it does:  journalctl -u dovi-consumer -f\n  settings:      %s, then systemctl restart dovi-consumer\n' "$config"
  fi
  return $worst
}

uninstall_all() {
  local f
  if [[ -e $units/$unit ]]; then
    change service "stop and disable $unit" off "$unit"
    change service "remove $units/$unit and $drop_in" rm -f "$units/$unit" "$drop_in"
    [[ -n $dry || ! -d $units/$unit.d ]] || rmdir --ignore-fail-on-non-empty "$units/$unit.d"
  fi
  old_share_units
  [[ ! -e $bin ]] || change program "remove $bin" rm -f "$bin" "$complete/dovi-consumer" "$man"/dovi-consumer{,-*}.1
  [[ -n $dry ]] || ! running || systemctl daemon-reload
  if [[ -n $purge ]]; then
    if [[ -n ${is[made_scratch]} && -d ${is[made_scratch]} && ${is[made_scratch]} != "$var"/* ]]; then
      change scratch "remove ${is[made_scratch]} if empty" rmdir --ignore-fail-on-non-empty "${is[made_scratch]}"
    fi
    for f in "$etc" "$var"; do
      [[ ! -d $f ]] || change purge "remove $f" rm -rf --one-file-system "$f"
    done
    if [[ -n ${is[made_user]} ]] && getent passwd "${is[made_user]}" >/dev/null; then
      change user "remove the user ${is[made_user]}" userdel "${is[made_user]}"
    fi
  else
    for f in "$etc" "$var"; do [[ ! -e $f ]] || kept kept "$f (--purge removes it)"; done
    getent passwd "${is[user]}" >/dev/null && kept kept "the user ${is[user]}"
  fi
  if [[ -n $dry ]]; then dry_end
  elif ((changes)); then printf '\nuninstalled; ffmpeg, mkvtoolnix and the mount tools stay, the share was not touched\n'
  else printf '\nnothing to remove\n'; fi
}
check_options
check_machine
if [[ -n $uninstall ]]; then uninstall_all; else install_all; fi
