#!/usr/bin/env bash
# Runs common/tests/filesystems on real NFS and SMB shares, in a virtual machine with Debian 12's kernel and servers, each
# share mounted twice, as two machines see it; and stops the servers in the middle. docs/RELIABILITY.md, "File systems".
#
#   deploy/test-shares.sh [OPTIONS] [CASE...]     cases: see `cases` below, or the beginning of a name [all]
#
#   --folder DIR    the system's folder and image, 2 GB, kept for the next time [/var/tmp/dovi-test-shares]
#   --mirror URL    where debootstrap finds Debian [http://deb.debian.org/debian]
#   --runs N        of each case without "stop" or "silent" [1]
#   --stale S       the stale time of leases in the test, seconds; more on a slow machine [3]
#   --accel NAME    kvm, or tcg where there is no working KVM: ten times slower, give --stale 12 [kvm]
#   --binary FILE   the test program [what `cargo test -p common --test filesystems --no-run` makes]
#
# As root, with: debootstrap e2fsprogs qemu-system-x86. Not part of `make test`: it takes the net and minutes.
# A machine with another glibc than Debian 12's builds the program in a container (deploy/Dockerfile) and passes it.
set -euo pipefail
export LC_ALL=C

# name: type, mount options, how the server goes and comes back
cases='
smb            cifs  noserverino
smb-serverino  cifs  serverino
nfs4.2         nfs   vers=4.2,lookupcache=positive
nfs3           nfs   vers=3,nolock,lookupcache=positive
nfs4.2-all     nfs   vers=4.2,lookupcache=all
nfs3-all       nfs   vers=3,nolock,lookupcache=all
stop-smb       cifs  noserverino                                          smb
stop-nfs4.2    nfs   vers=4.2,lookupcache=positive,hard                   nfs
stop-nfs3      nfs   vers=3,nolock,lookupcache=positive,hard              nfs
stop-nfs-soft  nfs   vers=4.2,lookupcache=positive,soft,timeo=30,retrans=2 nfs
unexport-nfs   nfs   vers=4.2,lookupcache=positive,hard                   export
silent-smb     cifs  noserverino                                          link
silent-nfs4.2  nfs   vers=4.2,lookupcache=positive,hard                   link
'

# ---- inside the machine

serve_smb() { setsid smbd --foreground --no-process-group </dev/null >/dev/null 2>&1 & echo $! >/run/smb.pid; }
serve_nfs() { exportfs -r && rpc.nfsd 8; }
# Both as systemd's units do it.
stop_smb() { kill -KILL -- "-$(</run/smb.pid)"; }
stop_nfs() { rpc.nfsd 0; exportfs -au; exportfs -f; }
stop_export() { exportfs -au; exportfs -f; }
serve_export() { exportfs -r; }
stop_link() { ip link set lo down; }
serve_link() { ip link set lo up; }

inside() {
  local runs=$1 name type options server n at
  export DOVI_FILESYSTEM_STALE_S=$2
  shift 2
  ip link set lo up
  modprobe -a cifs nfs nfsv3 nfsv4 nfsd
  mkdir -p /srv/share /mnt/a /mnt/b /run/samba /var/log/samba
  mount -t nfsd nfsd /proc/fs/nfsd
  mount -t rpc_pipefs sunrpc /var/lib/nfs/rpc_pipefs 2>/dev/null || true
  echo '/srv/share 127.0.0.1(rw,no_root_squash,no_subtree_check,fsid=7)' >/etc/exports
  # Otherwise clients of a server that came back wait for 90 s.
  for n in grace lease; do echo 10 >/proc/fs/nfsd/nfsv4${n}time; done
  printf '%s\n' '[global]' 'server role = standalone server' 'load printers = no' 'log level = 0' '[share]' 'path = /srv/share' \
    'read only = no' >/etc/samba/smb.conf
  id nas >/dev/null 2>&1 || useradd nas
  printf 'nas\nnas\n' | smbpasswd -s -a nas >/dev/null
  rpcbind -w || rpcbind
  rpc.mountd
  serve_nfs
  serve_smb
  uname -rv; smbd --version
  while read -r name type options server; do
    [[ -n $name ]] || continue
    for n; do [[ $name != "$n"* ]] || break; done
    (($# == 0)) || [[ $name == "$n"* ]] || continue
    rm -rf /srv/share; mkdir -m 777 /srv/share; mkdir -m 777 /srv/share/test
    exportfs -r
    for at in a b; do
      if [[ $type == cifs ]]; then
        until_mounted -t cifs -o "vers=3.1.1,username=nas,password=nas,nosharesock,$options" //127.0.0.1/share /mnt/$at
      else
        until_mounted -t nfs -o "nosharecache,$options" 127.0.0.1:/srv/share /mnt/$at
      fi
    done
    export DOVI_FILESYSTEM_DIR=/mnt/a/test:/mnt/b/test
    export DOVI_FILESYSTEM_STOP="bash /payload/test-shares.sh --call stop_$server"
    export DOVI_FILESYSTEM_START="bash /payload/test-shares.sh --call serve_$server"
    if [[ -n $server ]]; then
      one "$name" a_server_that_stops
    else
      for ((n = 1; n <= runs; n++)); do one "$name $n" any_folder; done
    fi
    umount /mnt/a || umount -lf /mnt/a; umount /mnt/b || umount -lf /mnt/b
  done <<<"$cases"
}
until_mounted() { local n; for n in {1..20}; do mount "$@" && return; sleep 1; done; }
one() { # name, test
  local seconds=$SECONDS words=ok
  printf 'case %s:\n' "$1"
  timeout 400 /payload/filesystems --ignored --nocapture "$2" 2>&1 |
    grep --line-buffered -v -e '^$' -e '^running' -e '^test ' -e RUST_BACKTRACE | sed -u 's/^/  /' || words=FAILED
  printf 'case %s: %s (%s s)\n' "$1" "$words" $((SECONDS - seconds))
}

if [[ ${1-} == --call ]]; then "$2"; exit; fi
if [[ ${1-} == --inside ]]; then shift; inside "$@"; exit; fi

# ---- outside

folder=/var/tmp/dovi-test-shares mirror=http://deb.debian.org/debian runs=1 stale=3 binary='' names=() accel=kvm
while (($#)); do
  case $1 in
  --folder) folder=$2; shift ;;
  --mirror) mirror=$2; shift ;;
  --runs) runs=$2; shift ;;
  --stale) stale=$2; shift ;;
  --binary) binary=$2; shift ;;
  --accel) accel=$2; shift ;;
  -*) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 2 ;;
  *) names+=("$1") ;;
  esac
  shift
done
here=$(cd "$(dirname "$0")" && pwd)
fail() { printf 'test-shares: %s\n' "$1" >&2; exit 2; }
((EUID == 0)) || fail 'this needs root'
[[ $accel != kvm || -w /dev/kvm ]] || fail 'there is no /dev/kvm: --accel tcg is ten times slower and works everywhere'
for program in debootstrap mke2fs qemu-system-x86_64; do
  command -v $program >/dev/null || fail "$program is missing: apt-get install debootstrap e2fsprogs qemu-system-x86"
done
if [[ -z $binary ]]; then
  binary=$(cd "$here/.." && cargo test -p common --test filesystems --no-run 2>&1 | sed -n 's/.*(\(.*filesystems-[^)]*\)).*/\1/p')
  [[ -n $binary ]] || fail 'the test program does not build: cargo test -p common --test filesystems --no-run'
  [[ $binary == /* ]] || binary=$here/../$binary
fi

mkdir -p "$folder"
if [[ ! -e $folder/image ]]; then
  rm -rf "$folder/root"
  debootstrap --variant=minbase \
    --include=linux-image-amd64,samba,cifs-utils,nfs-kernel-server,nfs-common,kmod,iproute2,initramfs-tools,zstd \
    bookworm "$folder/root" "$mirror" >"$folder/debootstrap.log" 2>&1 || fail "debootstrap failed, see $folder/debootstrap.log"
  cat >"$folder/root/sbin/test-shares-init" <<'INIT'
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -o remount,rw /
mount -t proc proc /proc; mount -t sysfs sys /sys 2>/dev/null; mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs run /run; mount -t tmpfs tmp /tmp; mkdir /payload; mount -t tmpfs payload /payload
tar xf /dev/vdb -C /payload
bash /payload/test-shares.sh --inside $(</payload/arguments)
echo "end of tests"
echo o >/proc/sysrq-trigger
sleep 60
INIT
  chmod 755 "$folder/root/sbin/test-shares-init"
  cp "$folder"/root/boot/vmlinuz-* "$folder/kernel"
  cp "$folder"/root/boot/initrd.img-* "$folder/initrd"
  mke2fs -q -t ext4 -d "$folder/root" "$folder/image.new" 3G
  rm -rf "$folder/root"
  mv "$folder/image.new" "$folder/image"
fi

work=$(mktemp -d "$folder/run.XXXXXX")
machine=''
trap '[[ -z $machine ]] || kill "$machine" 2>/dev/null || true; rm -rf "$work"' EXIT
cp "$binary" "$work/filesystems"
strip --strip-debug "$work/filesystems" 2>/dev/null || true
cp "$here/test-shares.sh" "$work/"
echo "$runs $stale ${names[*]-}" >"$work/arguments"
tar cf "$work/payload.tar" -C "$work" filesystems test-shares.sh arguments
[[ $accel == kvm ]] && cpu=host,arch-capabilities=off || cpu=max
qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -smp 2 -m 2G -display none -no-reboot -nic none \
  -kernel "$folder/kernel" -initrd "$folder/initrd" \
  -append 'root=/dev/vda ro console=ttyS0 quiet loglevel=3 net.ifnames=0 init=/sbin/test-shares-init' \
  -drive "file=$folder/image,format=raw,if=virtio,snapshot=on,cache=unsafe" -drive "file=$work/payload.tar,format=raw,if=virtio" \
  -serial "file:$work/console" </dev/null &
machine=$!
tail --pid="$machine" -n +1 -F "$work/console" 2>/dev/null | stdbuf -o0 tr -d '\r'
wait "$machine" || true
machine=''
grep -q 'end of tests' "$work/console" || { echo 'test-shares: the machine did not come to the end' >&2; exit 1; }
! grep -q '^case .*FAILED' "$work/console"
