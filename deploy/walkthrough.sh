#!/usr/bin/env bash
# From nothing to converted films with docker-compose.yml and one worker beside it, run for real, with a transcript.
#
#   deploy/walkthrough.sh                            print the transcript
#   deploy/walkthrough.sh --page docs/OPERATIONS.md  and put it between the page's two markers
#   deploy/walkthrough.sh --shots docs/images        and take the pictures of the management UI (deploy/screenshots.py)
#   deploy/walkthrough.sh --no-build                 with the images that are there
#
# Needs Docker with Compose 2, ffmpeg and mkvtoolnix, and cargo, which builds the film maker and the second worker. For
# programs that are built already: MAKE_LIBRARY, CONSUMER. A project of its own (`dovi-walkthrough`, ports 25672 and
# 25673, PORT changes them): a fleet that runs on this machine is left alone. Everything it made but the images is removed at the end.
#
# The second worker runs on the machine itself, by systemd-run with the settings of deploy/systemd/dovi-consumer.service; without
# systemd, as root, by setpriv and nice with those of its settings that they know; otherwise plainly.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
page= shots= build=--build
while (($#)); do
  case $1 in
    --page) page=$(realpath "$2"); shift 2 ;;
    --shots) mkdir -p "$2"; shots=$(realpath "$2"); shift 2 ;;
    --no-build) build=; shift ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
done
port=${PORT:-25672}
ui=$((port + 1))
say() { printf '== %s\n' "$*" >&2; }
die() { say "failed: $*"; exit 1; }

cd "$here"
if [[ -z ${MAKE_LIBRARY:-} || -z ${CONSUMER:-} ]]; then
  say "building the film maker and the second worker"
  cargo build --release --locked -p consumer -p e2e --bin dovi-consumer --bin make-library >&2
fi
maker=${MAKE_LIBRARY:-$here/target/release/make-library}
program=${CONSUMER:-$here/target/release/dovi-consumer}
compose=(docker compose)
docker compose version >/dev/null 2>&1 || compose=(docker-compose)
"${compose[@]}" version >/dev/null || die "no Docker Compose here"

work=$(mktemp -d)
transcript=$work/transcript
user=$(id -u) group=$(id -g)
# Containers run as nobody's root: for root's own walk an ordinary number is taken.
((user)) || { user=1000; group=1000; }

# The commands of the transcript are what a person types. Only the project, its settings and the working folder are ours.
docker() {
  [[ $1 == compose ]] || { command docker "$@"; return; }
  shift
  "${compose[@]}" --project-name dovi-walkthrough --project-directory "$here" -f "$here/docker-compose.yml" \
    --env-file "$work/.env" "$@"
}
cleanup() {
  # With the log of the second worker if something went wrong.
  [[ ${complete:-} ]] || tail -n 20 "$work/worker.log" >&2 2>/dev/null || true
  stop_second || true
  docker compose --profile worker --profile watch --profile tools down -v --remove-orphans >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# What differs from run to run is replaced: folders, times, ids, sizes of results.
stable() {
  sed -E -e "s#$work#/srv/dovi#g" -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g' \
    -e 's/\x1b\[[0-9;]*[A-Za-z]//g' -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}/DATE/g' \
    -e 's/\b[0-9a-f]{32,64}\b/ID/g' -e 's/\b[0-9a-f]{12}\b/0123456789ab/g' -e 's/\([0-9.]+ [kM]?B saved\)/(SIZE saved)/g' -e 's/[ \t]+$//'
}
text() { printf '\n%s\n' "$*" >>"$transcript"; }
# Runs a command and writes down it and what it prints, without what Compose tells about containers and images.
chatter='^(\[\+\]| *(Container|Network|Volume) |(prescan|verify) +[0-9]+ %|#[0-9]+ )'
run() {
  say "\$ $1"
  local out=$work/out code=0
  (cd "$work"; eval "$1") >"$out" 2>"$work/err" || code=$?
  { printf '\n```console\n$ %s\n' "$(sed -E 's/ +$//; s/  +/ /g' <<<"$1")"; grep -hvE "$chatter" "$work/err" "$out" || true; printf '```\n'; } |
    stable | grep -v '^$' | sed '1i\\' >>"$transcript"
  ((code == ${2:-0})) || { cat "$work/err" "$out" >&2; die "exit code $code: $1"; }
}
# Waits for something, a look every half second.
until_true() { # what, seconds, command
  say "waiting: $1"
  local end=$((SECONDS + $2))
  until eval "$3" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "waited $2 s for: $1"
    sleep 0.5
  done
}
finished() { find "$work/state/done" -name '*.json' 2>/dev/null | wc -l; }
given_up() { find "$work/state/failed" -name '*.json' 2>/dev/null | wc -l; }

second=
# The second worker, as close to its unit as this machine can.
start_second() {
  local unit=$here/deploy/systemd/dovi-consumer.service properties=()
  if [[ -d /run/systemd/system ]] && ((EUID == 0)); then
    while IFS= read -r line; do
      case $line in
        ExecStart=* | User=* | StateDirectory* | Restart* | ReadWritePaths=*) ;;
        [A-Z]*=*) properties+=(-p "$line") ;;
      esac
    done < <(sed -n '/^\[Service\]/,/^\[Install\]/p' "$unit")
    systemd-run --quiet --collect --unit=dovi-walkthrough-worker --uid="$user" --gid="$group" "${properties[@]}" \
      -p "ReadWritePaths=$work" -p PrivateTmp=no -p "StandardError=file:$work/worker.log" \
      "$program" run --drain now --config "$work/worker.toml"
    second=systemd
  else
    local as=()
    if ((EUID == 0)) && command -v setpriv >/dev/null; then
      as=(setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs --bounding-set=-all)
    fi
    (cd "$work" && exec "${as[@]}" nice -n 10 "$program" run --drain now --config "$work/worker.toml" 2>"$work/worker.log") &
    second=$!
  fi
}
stop_second() {
  case $second in
    '') ;;
    systemd) systemctl stop dovi-walkthrough-worker ;;
    *) kill -TERM "$second" && wait "$second" ;;
  esac
  second=
}

how() {
  if [[ -d /run/systemd/system ]] && ((EUID == 0)); then
    echo 'by systemd-run, with the settings of `deploy/systemd/dovi-consumer.service`'
  elif ((EUID == 0)); then
    echo "there is no systemd here: by setpriv and nice, with the unit's user, rights and priority"
  else
    echo "there is no systemd here, or no right to use it: by nice"
  fi
}
take_pictures() { # moment
  PASSWORD=$(sed -n 's/^DOVI_PASSWORD=//p' "$work/.env") python3 "$here/deploy/screenshots.py" "http://127.0.0.1:$ui" dovi "$shots" "$1" >&2
}

say "generating films"
mkdir -p "$work"/{films,arriving,converted,state,scratch}
# The demo's names; the long one is for the restart in the middle of a film.
small=(--size 480x270 --frames 120)
"$maker" "${small[@]}" --only mel-closed-gop --only fel --only p81 --only hdr10 "$work/films" >&2
mkdir "$work/long"
"$maker" --size 480x270 --frames "${FRAMES:-3000}" --only mel-open-gop "$work/long" >&2
"$maker" "${small[@]}" --only mel-cmv29 "$work/arriving" >&2
"$maker" --size 480x270 --frames 600 --only hostile-name "$work/bad" >&2
mkdir "$work/films/Broken Signal (2014)"
bad="$work/films/Broken Signal (2014)/Broken Signal (2014) - 2160p.mkv"
mv "$work"/bad/*/*.mkv "$bad"
find "$work" -name '*.mkv' -exec touch -d '2 hours ago' {} +
sums() { (cd "$work/films" && find . -name '*.mkv' -print0 | sort -z | xargs -0 sha256sum); }
# A hole in the middle, as a bad disk leaves one: most of one picture, and no new date.
damage() {
  local at size
  read -r at size < <(ffprobe -v error -select_streams v:0 -show_entries packet=pos,size -of csv=p=0 "$bad" |
    awk -F, -v from=$(($(stat -c %s "$bad") * 61 / 100)) '$2 > from { print $2 + 60, $1 - 60; exit }')
  touch -r "$bad" "$work/date"
  dd if=/dev/zero of="$bad" bs=1 seek="$at" count="$size" conv=notrunc status=none
  touch -r "$work/date" "$bad"
}

cat >"$work/.env" <<END
LIBRARY=$work/films
OUTPUT=$work/converted
STATE=$work/state
DOVI_UID=$user
DOVI_GID=$group
DOVI_AMQP_PORT=$port
DOVI_UI_PORT=$ui
DOVI_CONFIG=$work/config.toml
COMPOSE_PROFILES=worker
${shots:+DOVI_PASSWORD=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')}
END
cat >"$work/config.toml" <<'END'
[recipe]
preset = "slow"
END
chown -R "$user:$group" "$work" && chmod 755 "$work"

text 'The films, generated:'
run 'cd films && ls'
text 'The settings:'
run 'grep -v PASSWORD .env'
text 'The broker:'
run "docker compose up -d rabbitmq"
until_true "a healthy broker" 180 "docker compose ps rabbitmq | grep -q '(healthy)'"
run "docker compose ps --format 'table {{.Service}}\t{{.Status}}' | sed -E 's/Up [^(]*/Up /'"
text 'What would be queued, and why; then queue it:'
run "docker compose run --rm $build producer scan --dry-run"
run 'docker compose run --rm producer scan | tail -n 1'
damage
before=$(sums)
printf '%s\n' "$before" >"$work/films.sha256"
text 'Now the disk loses some kilobytes in the middle of `Broken Signal`, which nobody notices. And a worker is started:'
run "docker compose up -d $build"
text 'After a while:'
until_true "two films done, one given up" 600 '(($(finished) == 2 && $(given_up) == 1))'
run 'docker compose run --rm producer status'
run 'cd converted && find . -name "*.mkv" | sort'
run 'docker compose run --rm producer failed list'
text 'The original films are what they were:'
[[ $(sums) == "$before" ]] || die "an original changed"
run '(cd films && sha256sum --quiet --check ../films.sha256) && echo unchanged'
[[ -z $shots ]] || take_pictures idle

text "A second worker as a service of a machine beside it ($(how)). It has the same folders, and its password from the broker:"
cat >"$work/worker.toml" <<END
[broker]
url = "amqp://127.0.0.1:$port/dovi"
username = "dovi-worker"
password_file = "$work/password"

[library.roots]
films = "$work/films"

[share]
state_dir = "$work/state"

[output]
dir = "$work/converted"

[scratch]
dir = "$work/scratch"

[worker]
name = "vm1"
END
run 'docker compose exec -T rabbitmq cat /run/dovi/worker/password >password && chmod 600 password'
chown "$user:$group" "$work/password"
run 'cat worker.toml'

text 'A long film. The first worker takes it; in its middle the broker is restarted:'
mv "$work"/long/* "$work/films/"
run 'docker compose run --rm producer scan | tail -n 1'
ffmpeg_of_worker() { docker compose top worker | awk '/ffmpeg/ {print $2}' | sort | tr '\n' ' '; }
encoding() { docker compose top worker | grep -q 'ffmpeg.*libx265' && [[ -n $(ffmpeg_of_worker) ]]; }
until_true "the encode" 300 encoding
processes=$(ffmpeg_of_worker)
run 'docker compose restart rabbitmq'
until_true "a healthy broker" 180 "docker compose ps rabbitmq | grep -q '(healthy)'"
encoding || die "the film ended before the broker was back: FRAMES=6000 makes it longer"
[[ $(ffmpeg_of_worker) == "$processes" ]] || die "another ffmpeg runs"
text 'The same ffmpeg processes are at it as before. Now everything is taken down, in the middle of the film:'
run 'docker compose down'
run 'find converted -name "*.partial" | wc -l'
text 'Nothing half done is left. Up again, this time without the first worker, and the second one is started:'
run 'docker compose up -d rabbitmq'
until_true "a healthy broker" 180 "docker compose ps rabbitmq | grep -q '(healthy)'"
run 'docker compose run --rm producer status'
start_second
until_true "the second worker at the film" 180 "grep -q 'stage=encode' '$work/worker.log'"
text 'The second worker has the film. The first one comes back, too:'
run 'docker compose up -d'
until_true "a healthy worker" 120 "docker compose ps worker | grep -q '(healthy)'"
[[ -z $shots ]] || take_pictures busy
run 'docker compose run --rm producer status'
until_true "the long film" 900 '(($(finished) == 3))'
text 'From now on the library is watched; a film is copied into it:'
run 'docker compose --profile watch up -d watch'
until_true "the first scan" 120 "docker compose logs watch | grep -q 'films: 0 queued'"
run "cp -r arriving/* films/"
until_true "the new film" 600 '(($(finished) == 4))'
run "docker compose logs --no-log-prefix watch | grep -v 'still being copied'"
until_true "healthy" 120 "docker compose ps watch | grep -q '(healthy)'"
run "docker compose ps --format 'table {{.Service}}\t{{.Status}}' | sed -E 's/Up [^(]*/Up /'"
run 'docker compose run --rm producer status'

text 'A result, proven once more by hand:'
film='The Long Harbour (2019)/The Long Harbour (2019) - 2160p'
dovi-consumer() { "$program" "$@"; }
run "dovi-consumer verify 'films/$film.mkv' 'converted/films/$film [DV8].mkv'"
text 'Everything off. The second worker ends with its service:'
stop_second
run "tail -n 2 worker.log"
run 'docker compose --profile worker --profile watch down'

if [[ $page ]]; then
  begin='<!-- walkthrough: made by deploy/walkthrough.sh -->' end='<!-- end of the walkthrough -->'
  grep -qF "$begin" "$page" && grep -qF "$end" "$page" || die "$page has no markers"
  awk -v b="$begin" -v e="$end" -v t="$transcript" '
    $0 == e { skip = 0 }
    !skip { print }
    $0 == b { while ((getline line < t) > 0) print line; print ""; skip = 1 }' "$page" >"$work/page"
  cat "$work/page" >"$page"
else
  cat "$transcript"
fi
complete=1
say "done"
