#!/bin/bash
# Makes the fleet's broker user, then starts RabbitMQ the way its image does.
#
# The password is DOVI_PASSWORD or, if that is empty, a random one made at the first start. It lies in the volume
# `secret`, which the producer and the workers of this compose file read; nobody else needs to know it.
# A definitions file makes the user, so RabbitMQ never creates its default guest.
set -euo pipefail
dir=/run/dovi
password=${DOVI_PASSWORD:-}
unset DOVI_PASSWORD

if [[ -z $password && -s $dir/password ]]; then
  password=$(<"$dir/password")
elif [[ -z $password ]]; then
  password=$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')
fi

if [[ ! -s $dir/users.json || ! -s $dir/password || $password != "$(<"$dir/password")" ]]; then
  # RabbitMQ's own form: base64(salt + sha256(salt + password)). Any four bytes are a salt, also four hex digits.
  salt=$(od -An -N2 -tx1 /dev/urandom | tr -d ' \n')
  digest=$(printf '%s%s' "$salt" "$password" | sha256sum | cut -d' ' -f1)
  hash=$({ printf '%s' "$salt"; printf "$(sed 's/../\\x&/g' <<<"$digest")"; } | base64 -w0)
  cat >"$dir/users.json.new" <<JSON
{
  "vhosts": [{"name": "dovi"}],
  "users": [{
    "name": "dovi", "tags": "monitoring",
    "hashing_algorithm": "rabbit_password_hashing_sha256", "password_hash": "$hash"
  }],
  "permissions": [{"user": "dovi", "vhost": "dovi", "configure": ".*", "write": ".*", "read": ".*"}]
}
JSON
  mv "$dir/users.json.new" "$dir/users.json"
  printf '%s\n' "$password" >"$dir/password.new"
  mv "$dir/password.new" "$dir/password"
  # The programs run under the person's own UID; only containers that mount this volume get here.
  chmod 0444 "$dir/password" "$dir/users.json"
fi

# RabbitMQ loads every file of this folder in the order of their names.
mkdir -p /etc/rabbitmq/fleet
cp /etc/rabbitmq/definitions.json /etc/rabbitmq/fleet/10-topology.json
cp "$dir/users.json" /etc/rabbitmq/fleet/20-users.json
chmod -R a+rX /etc/rabbitmq/fleet
printf 'definitions.local.path = /etc/rabbitmq/fleet\n' >/etc/rabbitmq/conf.d/95-compose.conf
exec docker-entrypoint.sh "$@"
