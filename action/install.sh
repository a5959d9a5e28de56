#!/usr/bin/env bash
# Adds perfgate to the PATH of later steps: a verified release, a build from this action's source, or an existing
# program. Called by action.yml; inputs are environment variables INPUT_….
set -euo pipefail

# annotate LEVEL MESSAGE: a workflow command with an escaped message.
annotate() {
    local message=${2//'%'/%25}
    message=${message//$'\r'/%0D}
    printf '::%s title=perfgate::%s\n' "$1" "${message//$'\n'/%0A}"
}

fail() {
    annotate error "$1"
    exit 2
}

# Folder of this script, and a new installation folder for every job: files of earlier jobs on a persistent runner are
# untrusted.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
temporary=${RUNNER_TEMP:?RUNNER_TEMP is not set: this script is for a runner of GitHub Actions}
folder=$(mktemp -d "$temporary/perfgate.XXXXXX")

# Names of the archives in checksums.txt, newest first.
pinned() {
    sed -n 's/^[0-9a-f]\{64\}  \(perfgate-[0-9][0-9A-Za-z._+-]*\.tar\.gz\)$/\1/p' "$here/checksums.txt"
}

install_release() {
    local platform version=${INPUT_VERSION#v}
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64) platform=x86_64-unknown-linux-gnu ;;
        Linux-aarch64 | Linux-arm64) platform=aarch64-unknown-linux-gnu ;;
        *) fail "perfgate has no release for $(uname -s) on $(uname -m): it runs on Linux, x86_64 or aarch64" ;;
    esac
    [[ $version =~ ^[0-9A-Za-z.+-]*$ ]] || fail "version: \`$version\` is not a version; write it as in 1.2.3"

    local archive
    if [ -n "$version" ]; then
        archive=$(pinned | grep -Fx -- "perfgate-$version-$platform.tar.gz" || true)
    else
        archive=$(pinned | grep -F -m 1 -- "-$platform.tar.gz" || true)
    fi
    if [ -z "$archive" ]; then
        local known
        known=$(pinned | paste -s -d ' ')
        fail "this commit of the action pins no release${version:+ $version} for $platform (pinned: ${known:-none}).
Use a commit of the action that pins one, or \`install: source\`, which needs Rust, or add perfgate to the PATH and use \`install: path\`"
    fi

    # Empty if the action is in the workflow's own repository: `uses: ./`.
    local repository=${ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}} tag=${archive#perfgate-}
    tag=v${tag%"-$platform.tar.gz"}
    # A mirror may serve the file: it must always match the pinned checksum.
    local base=${PERFGATE_DOWNLOAD_URL:-${GITHUB_SERVER_URL:-https://github.com}/$repository/releases/download/$tag}
    echo "downloading $base/$archive"
    curl --fail --silent --show-error --location --retry 3 --proto '=https,file' --proto-redir '=https' --tlsv1.2 \
        --max-time 300 --output "$folder/$archive" "$base/$archive" ||
        fail "cannot download $base/$archive; \`install: source\` and \`install: path\` need no download"

    # Compare with the checksum of this commit, never with a file beside the download.
    (cd "$folder" && grep -F -- "  $archive" "$here/checksums.txt" | sha256sum --check --strict --quiet -) ||
        fail "$archive does not match the checksum that this action pins: its SHA-256 is $(sha256sum <"$folder/$archive" | cut -c 1-64). It was not run"
    verify_attestation "$folder/$archive" "$repository"
    tar -C "$folder" --no-same-owner -xzf "$folder/$archive" perfgate
    rm -- "$folder/$archive"
}

# Verifies the builder. A mismatch fails; if verification is not possible, the checksum still applies.
verify_attestation() {
    if [ -n "${PERFGATE_DOWNLOAD_URL:-}" ]; then
        annotate warning "the attestation was not verified, because the archive comes from PERFGATE_DOWNLOAD_URL; its checksum matches"
    elif ! gh attestation --help >/dev/null 2>&1; then
        annotate warning "the attestation was not verified, because this runner has no gh with \`gh attestation\`; the checksum matches"
    else
        gh attestation verify "$1" --repo "$2" --signer-workflow "$2/.github/workflows/release.yml" ||
            fail "the attestation of $(basename "$1") is not valid for the release workflow of $2. It was not run"
    fi
}

install_source() {
    command -v cargo >/dev/null ||
        fail "\`install: source\` needs a Rust toolchain, but this runner has no cargo; \`install: release\` works without one"
    local repository=${ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}}
    if [ -n "$repository" ]; then
        # Link target of warning codes in reports and comments.
        export PERFGATE_DOCUMENTATION_URL=${GITHUB_SERVER_URL:-https://github.com}/$repository/blob/HEAD/docs
    fi
    cargo install --locked --path "$here/.." --root "$folder" ||
        fail "cannot build perfgate from this action's source; see cargo's output above"
    folder=$folder/bin
}

install_path() {
    local there
    there=$(type -P perfgate) || fail "\`install: path\` needs perfgate on the PATH, but it is missing"
    folder=$(cd "$(dirname "$there")" && pwd)
}

INPUT_VERSION=${INPUT_VERSION:-}
case ${INPUT_INSTALL:-release} in
    release) install_release ;;
    source) install_source ;;
    path) install_path ;;
    *) fail "install: \`$INPUT_INSTALL\` is not one of release, source, path" ;;
esac
printf '%s\n' "$folder" >>"${GITHUB_PATH:?}"
"$folder/perfgate" --version
