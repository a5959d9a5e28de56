#!/usr/bin/env bash
# Builds the files of a release: `scripts/release.sh TARGET [FOLDER]` builds the archive of one target
# (x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu), `scripts/release.sh sbom [FOLDER]` writes the list of its components.
# The release workflow calls it; manual calls give the same result. See docs/guides/release.md.
#
# The binary is linked against an old glibc, so that it runs on old distributions. It is not static, because a static
# program cannot open the driver's library NVML at run time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The oldest glibc that Rust supports.
oldest_glibc=2.17
# Libraries of glibc; the binary must not need others.
own_libraries='libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|librt\.so\.1|libutil\.so\.1|ld-linux.*'

what=${1:?usage: scripts/release.sh TARGET|sbom [FOLDER]}
folder=$(mkdir -p "${2:-dist}" && cd "${2:-dist}" && pwd)
version=$(sed -n '0,/^version = /s/^version = "\(.*\)"$/\1/p' Cargo.toml)
target_folder=${CARGO_TARGET_DIR:-target}
# Reproducible archive.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# Zig, which links against any glibc, and its cargo command, in a separate folder.
tools() {
    local tools=$target_folder/release-tools
    if ! cmp -s scripts/release-tools.txt "$tools/.stamp"; then
        mkdir -p "$target_folder"
        python3 -m venv "$tools"
        "$tools/bin/pip" install --quiet --only-binary :all: --no-deps -r scripts/release-tools.txt
        cp scripts/release-tools.txt "$tools/.stamp"
    fi
    PATH=$(cd "$tools/bin" && pwd):$PATH
    export PATH
}

build() {
    local target=$1
    cargo zigbuild --locked --profile dist --bin perfgate --target "$target.$oldest_glibc"
    local binary=$target_folder/$target/dist/perfgate

    # Verify the requirements.
    local newest needed
    newest=$(readelf --version-info --wide "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    if [ "$(printf '%s\n' "GLIBC_$oldest_glibc" "$newest" | sort -V | tail -n 1)" != "GLIBC_$oldest_glibc" ]; then
        echo "error: $binary needs $newest, newer than the allowed $oldest_glibc" >&2
        exit 1
    fi
    needed=$(readelf --dynamic --wide "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    if grep -Evx "$own_libraries" <<<"$needed"; then
        echo "error: $binary needs these libraries outside of glibc" >&2
        exit 1
    fi
    echo "$binary needs $newest at most, and $(tr '\n' ' ' <<<"$needed")"

    local archive=perfgate-$version-$target.tar.gz staged
    staged=$(mktemp -d)
    cp "$binary" LICENSE-APACHE LICENSE-MIT "$staged"
    tar -C "$staged" --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w --mtime="@$SOURCE_DATE_EPOCH" \
        -cf - perfgate LICENSE-APACHE LICENSE-MIT | gzip -9n >"$folder/$archive"
    rm -r "$staged"
    (cd "$folder" && sha256sum "$archive")
}

# All compiled crates with version, licence and checksum, as CycloneDX.
sbom() {
    command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx@0.5.9
    cargo cyclonedx --format json --no-build-deps --override-filename "perfgate.cdx" --quiet
    mv "perfgate.cdx.json" "$folder/"
    echo "$folder/perfgate.cdx.json"
}

case $what in
    sbom) sbom ;;
    *-unknown-linux-gnu)
        tools
        build "$what"
        ;;
    *)
        echo "error: no releases for $what" >&2
        exit 2
        ;;
esac
