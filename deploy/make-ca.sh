#!/usr/bin/env bash
# Makes a private certificate authority and a certificate for the broker, for `amqps://`.
#
#   deploy/make-ca.sh [--days N] DIR NAME...
#
# Every NAME is a host name or an address under which programs reach the broker. DIR gets
#   ca.pem       for every machine: broker.ca_file
#   ca.key       keep it off the network; whoever has it can pose as your broker
#   broker.pem   for the broker
#   broker.key   for the broker, readable for its user alone
# An authority that is there is kept, and only the broker's certificate is made anew: nothing changes on the other machines.
set -euo pipefail
umask 077

days=825
if [[ ${1:-} == --days ]]; then
  days=$2
  shift 2
fi
if (($# < 2)) || [[ $1 == -* ]]; then
  echo "usage: ${0##*/} [--days N] DIR NAME..." >&2
  exit 2
fi
dir=$1
shift
mkdir -p "$dir"
cd "$dir"

quiet() { "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }; }
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

if [[ ! -s ca.pem || ! -s ca.key ]]; then
  printf '%s\n' 'basicConstraints=critical,CA:TRUE,pathlen:0' 'keyUsage=critical,keyCertSign,cRLSign' \
    'subjectKeyIdentifier=hash' >ca.ext
  quiet openssl req "${key[@]}" -subj '/CN=dovi-fleet authority' -keyout ca.key -out ca.csr
  quiet openssl x509 -req -in ca.csr -signkey ca.key -days 3650 -extfile ca.ext -out ca.pem
fi

names=()
for name in "$@"; do
  if [[ $name =~ ^[0-9.]+$ || $name == *:* ]]; then names+=("IP:$name"); else names+=("DNS:$name"); fi
done
printf '%s\n' "subjectAltName=$(IFS=,; echo "${names[*]}")" 'basicConstraints=critical,CA:FALSE' \
  'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth' >broker.ext
quiet openssl req "${key[@]}" -subj "/CN=$1" -keyout broker.key -out broker.csr
quiet openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" -extfile broker.ext -out broker.pem
rm -f -- *.csr *.ext ca.srl openssl.log
chmod 644 ca.pem broker.pem
