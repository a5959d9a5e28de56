#!/usr/bin/env bash
# Puts perfgate on the PATH of the steps that follow: a verified release, a build from this action's source, or what is
# there already. Called by action.yml; inputs come by the environment as INPUT_….
set -euo pipefail

# annotate LEVEL MESSAGE: a workflow command that no message can break out of.
annotate() {
    local message=${2//'%'/%25}
    message=${message//$'\r'/%0D}
    printf '::%s title=perfgate::%s\n' "$1" "${message//$'\n'/%0A}"
}

fail() {
    annotate error "$1"
    exit 2
}

# Folder of this script, and of what is installed: it is new for every job, for what a job leaves on a runner that lives
# longer could be another's.
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
        *) fail "there is no release for $(uname -s) on $(uname -m): perfgate measures on Linux, x86_64 or aarch64" ;;
    esac
    [[ $version =~ ^[0-9A-Za-z.+-]*$ ]] || fail "version: \`$version\` is no version; write it as in 1.2.3"

    local archive
    if [ -n "$version" ]; then
        archive=$(pinned | grep -Fx -- "perfgate-$version-$platform.tar.gz" || true)
    else
        archive=$(pinned | grep -F -m 1 -- "-$platform.tar.gz" || true)
    fi
    if [ -z "$archive" ]; then
        local known
        known=$(pinned | paste -s -d ' ')
        fail "this commit of the action pins no release${version:+ $version} for $platform (it pins: ${known:-none}).
Use a commit of the action that does, or \`install: source\`, which needs Rust, or put perfgate on the PATH yourself and say \`install: path\`"
    fi

    # Where it is empty, the action is in the workflow's own repository: `uses: ./`.
    local repository=${ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}} tag=${archive#perfgate-}
    tag=v${tag%"-$platform.tar.gz"}
    # A mirror may serve the bytes: wherever they come from, they are held against the pinned checksum.
    local base=${PERFGATE_DOWNLOAD_URL:-${GITHUB_SERVER_URL:-https://github.com}/$repository/releases/download/$tag}
    echo "downloading $base/$archive"
    curl --fail --silent --show-error --location --retry 3 --proto '=https,file' --proto-redir '=https' --tlsv1.2 \
        --max-time 300 --output "$folder/$archive" "$base/$archive" ||
        fail "cannot download $base/$archive; \`install: source\` and \`install: path\` need no download"

    # Against the pin of this commit, never against a file beside the download.
    (cd "$folder" && grep -F -- "  $archive" "$here/checksums.txt" | sha256sum --check --strict --quiet -) ||
        fail "$archive is not what this action pins: its SHA-256 is $(sha256sum <"$folder/$archive" | cut -c 1-64). Nothing of it was run"
    verify_attestation "$folder/$archive" "$repository"
    tar -C "$folder" --no-same-owner -xzf "$folder/$archive" perfgate
    rm -- "$folder/$archive"
}

# Who built it. A mismatch is the end; where nobody can be asked, the checksum still binds.
verify_attestation() {
    if [ -n "${PERFGATE_DOWNLOAD_URL:-}" ]; then
        annotate warning "the attestation was not verified, since the archive comes from PERFGATE_DOWNLOAD_URL; its checksum is the pinned one"
    elif ! gh attestation --help >/dev/null 2>&1; then
        annotate warning "the attestation was not verified, since this runner has no gh, or one without \`gh attestation\`; the checksum is the pinned one"
    else
        gh attestation verify "$1" --repo "$2" --signer-workflow "$2/.github/workflows/release.yml" ||
            fail "the attestation of $(basename "$1") does not verify: it is not known to come from the release workflow of $2. Nothing of it was run"
    fi
}

install_source() {
    command -v cargo >/dev/null ||
        fail "\`install: source\` needs a Rust toolchain, and this runner has no cargo; \`install: release\` needs none"
    local repository=${ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}}
    if [ -n "$repository" ]; then
        # Where the codes of warnings lead in reports and comments.
        export PERFGATE_DOCUMENTATION_URL=${GITHUB_SERVER_URL:-https://github.com}/$repository/blob/HEAD/docs
    fi
    cargo install --locked --path "$here/.." --root "$folder" ||
        fail "perfgate could not be built from this action's source; cargo says why above"
    folder=$folder/bin
}

install_path() {
    local there
    there=$(type -P perfgate) || fail "\`install: path\` takes the perfgate on the PATH, and there is none"
    folder=$(cd "$(dirname "$there")" && pwd)
}

INPUT_VERSION=${INPUT_VERSION:-}
case ${INPUT_INSTALL:-release} in
    release) install_release ;;
    source) install_source ;;
    path) install_path ;;
    *) fail "install: \`$INPUT_INSTALL\` is none of release, source, path" ;;
esac
printf '%s\n' "$folder" >>"${GITHUB_PATH:?}"
"$folder/perfgate" --version
