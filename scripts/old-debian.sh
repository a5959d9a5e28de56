#!/usr/bin/env bash
# Runs a release binary in an old Debian: `scripts/old-debian.sh ARCHIVE [SUITE]`, as root. Creates a small system of that
# suite with debootstrap, prints the version, measures the embedded server, and detects GPUs through a stub of the
# driver's library, which proves that the binary can open it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

archive=${1:?usage: scripts/old-debian.sh ARCHIVE [SUITE]}
suite=${2:-bullseye}
system=$(mktemp -d)
clean_up() {
    umount "$system/proc" 2>/dev/null || true
    rm -rf --one-file-system "$system"
}
trap clean_up EXIT

debootstrap --variant=minbase --include=ca-certificates "$suite" "$system" >"$system.log" 2>&1 || {
    tail -n 20 "$system.log" >&2
    exit 1
}
rm "$system.log"
mount -t proc proc "$system/proc"
tar -C "$system/usr/local/bin" --no-same-owner -xzf "$archive" perfgate
mkdir "$system/try"
# Without symbols of a newer C library than the system's.
cc -shared -fPIC -nostartfiles -O1 -o "$system/try/libnvidia-ml.so.1" tests/it/gpus/nvml.c
printf 'gpu\nmemory_total 85899345920\nmemory_used 268435456\n' >"$system/try/world"

inside() {
    echo "+ $*"
    chroot "$system" /bin/sh -ec 'cd /try; exec "$@"' sh "$@"
}
inside cat /etc/debian_version
inside ldd --version | head -n 2
inside perfgate --version
inside perfgate bench --simulator seed=1 --model demo --num-prompts 40 --concurrency 4 --output-tokens-mean 16 \
    --synthetic-input-tokens-mean 32 --repeat 1
inside test -s result.json
echo "+ perfgate doctor --quick, with a driver's library"
chroot "$system" /usr/bin/env LD_LIBRARY_PATH=/try NVML_STUB_STATE=/try/world perfgate doctor --quick |
    tee "$system/try/page"
grep -qF '(NVML)' "$system/try/page" || {
    echo "error: the binary did not open the driver's library" >&2
    exit 1
}
