#!/usr/bin/env bash
# Installs what `make demo` and `make test` need on Debian 12 or later (Ubuntu works too): a C linker, ffmpeg,
# mkvtoolnix, the RabbitMQ server's programs, and rustup if there is no cargo. Safe to run again; what is there stays.
#
# RabbitMQ is installed without being started or enabled: the demo and the tests run private nodes of their own on
# free ports. A RabbitMQ that is installed already is left exactly as it is.
set -euo pipefail

packages=(build-essential ca-certificates curl ffmpeg mkvtoolnix rabbitmq-server)
missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done

if ((${#missing[@]})); then
  as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "setup: ${missing[*]} must be installed, and this is neither root nor is there sudo. As root:" >&2
      echo "  apt-get install -y --no-install-recommends ${missing[*]}" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  policy=/usr/sbin/policy-rc.d
  ours=
  log=$(mktemp)
  cleanup() {
    [[ -z $ours ]] || "${as_root[@]}" rm -f "$policy"
    rm -f "$log"
  }
  trap cleanup EXIT
  trap 'exit 130' INT TERM HUP
  if [[ ! -e $policy ]]; then
    # 101 = "action forbidden": package scripts start no service while this file exists.
    ours=1
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
  fi
  apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }
  apt update || echo "setup: some package lists could not be fetched; trying with those that are there" >&2
  # What package scripts chatter is of interest only when they fail.
  apt install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "setup: the packages could not be installed; the lines above say why" >&2
    exit 1
  }
  if [[ " ${missing[*]} " == *" rabbitmq-server "* ]] && command -v systemctl >/dev/null; then
    # Nor at the next boot: nobody asked for a broker on this machine's port 5672.
    "${as_root[@]}" systemctl disable --quiet rabbitmq-server.service 2>/dev/null || true
  fi
  cleanup
  ours=
fi

if ! command -v cargo >/dev/null && [[ ! -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
  echo "setup: installing rustup for $(id -un); it fetches the toolchain named in rust-toolchain.toml"
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --quiet --profile minimal --default-toolchain none || {
    echo "setup: Rust could not be fetched; install it from https://rustup.rs and run this again" >&2
    exit 1
  }
fi
