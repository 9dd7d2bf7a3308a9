#!/bin/bash
# Makes the fleet's broker users, then starts RabbitMQ the way its image does.
#
# Each user has a random password, made at the first start, in a folder of its own below /run/dovi. The folders of the
# worker and of the command line are volumes of their own: their containers see their own password and no other. What
# each user may do is in deploy/rabbitmq/permissions.json. A definitions file makes the users, so RabbitMQ never creates
# its default guest.
#
# DOVI_PASSWORD adds one user `dovi` that may do everything in the virtual host.
set -euo pipefail
dir=/run/dovi
all_rights=${DOVI_PASSWORD:-}
owner=${OWNER:-1000:1000}
unset DOVI_PASSWORD

# RabbitMQ's own form: base64(salt + sha256(salt + password)). Any four bytes are a salt, also four hex digits.
hash_of() {
  local salt digest
  salt=$(od -An -N2 -tx1 /dev/urandom | tr -d ' \n')
  digest=$(printf '%s%s' "$salt" "$1" | sha256sum | cut -d' ' -f1)
  { printf '%s' "$salt"; printf "$(sed 's/../\\x&/g' <<<"$digest")"; } | base64 -w0
}

# Writes a secret whole or not at all, for one reader.
keep() {
  (umask 077; printf '%s\n' "$2" >"$1.new")
  chmod 0400 "$1.new"
  chown "$owner" "$1.new"
  mv "$1.new" "$1"
}

users=()
passwords=
add() { # name, tags, password
  users+=("{\"name\": \"$1\", \"tags\": \"$2\", \"hashing_algorithm\": \"rabbit_password_hashing_sha256\", \"password_hash\": \"$(hash_of "$3")\"}")
  passwords+="$1 $2 $3"$'\n'
}

user() { # name without dovi-, tags
  local file=$dir/$1/password
  mkdir -p "$dir/$1"
  [[ -s $file ]] || keep "$file" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
  # DOVI_UID may have changed.
  chown "$owner" "$file"
  add "dovi-$1" "$2" "$(<"$file")"
}

user producer ""
user worker ""
user cli ""
user monitor "monitoring"

extra=
if [[ -n $all_rights ]]; then
  add dovi monitoring "$all_rights"
  # Tells a later start without DOVI_PASSWORD that there is such a user.
  keep "$dir/password" "$all_rights"
  extra='{"user": "dovi", "vhost": "dovi", "configure": ".*", "write": ".*", "read": ".*"}'
elif [[ -e $dir/password ]]; then
  echo "dovi-fleet: the user \`dovi\` of an earlier start may still exist, with all rights. When no machine uses it any more:"
  echo "dovi-fleet:   docker compose exec rabbitmq sh -c 'rabbitmqctl delete_user dovi; rm -f /run/dovi/password'"
fi

# Made anew only when something changed: salts are random, and RabbitMQ imports only what changed.
stamp=$(printf '%s%s' "$passwords" "$extra" | sha256sum | cut -d' ' -f1)
if [[ ! -s $dir/users.json || $(cat "$dir/users.stamp" 2>/dev/null) != "$stamp" ]]; then
  list=$(printf '%s,\n' "${users[@]}")
  printf '{"vhosts": [{"name": "dovi"}],\n"users": [\n%s],\n"permissions": [%s]}\n' "${list%,}" "$extra" >"$dir/users.json.new"
  mv "$dir/users.json.new" "$dir/users.json"
  printf '%s\n' "$stamp" >"$dir/users.stamp"
fi
chmod 0700 "$dir"

# RabbitMQ loads every file of this folder in the order of their names. It runs under its own user.
mkdir -p /etc/rabbitmq/fleet
cp /etc/rabbitmq/definitions.json /etc/rabbitmq/fleet/10-topology.json
cp "$dir/users.json" /etc/rabbitmq/fleet/20-users.json
cp /etc/rabbitmq/permissions.json /etc/rabbitmq/fleet/30-permissions.json
chmod -R a+rX /etc/rabbitmq/fleet
printf 'definitions.local.path = /etc/rabbitmq/fleet\n' >/etc/rabbitmq/conf.d/95-compose.conf

# deploy/compose/tls.yml mounts what deploy/make-ca.sh made.
rm -f /etc/rabbitmq/conf.d/96-tls.conf
if [[ -s /run/tls/broker.pem ]]; then
  install -d -o rabbitmq -m 0700 /etc/rabbitmq/tls
  for file in ca.pem broker.pem broker.key; do
    install -o rabbitmq -m 0400 "/run/tls/$file" /etc/rabbitmq/tls/
  done
  printf '%s\n' 'listeners.ssl.default = 5671' 'ssl_options.cacertfile = /etc/rabbitmq/tls/ca.pem' \
    'ssl_options.certfile = /etc/rabbitmq/tls/broker.pem' 'ssl_options.keyfile = /etc/rabbitmq/tls/broker.key' \
    'ssl_options.verify = verify_none' >/etc/rabbitmq/conf.d/96-tls.conf
fi
exec docker-entrypoint.sh "$@"
