#!/usr/bin/env bash
# Runs perfgate with the inputs of the action, which are environment variables INPUT_…. Every input becomes one element of an
# array, so that no shell interprets it.
set -euo pipefail

# escaped TEXT: escapes the message of a workflow command.
escaped() {
    local text=${1//'%'/%25}
    text=${text//$'\r'/%0D}
    printf '%s' "${text//$'\n'/%0A}"
}

# fail MESSAGE: adds an annotation and exits with a usage error.
fail() {
    printf '::error title=perfgate::%s\n' "$(escaped "$1")"
    exit 2
}

# output NAME VALUE: sets an output of the step; callers ensure that values have no line breaks.
output() {
    printf '%s=%s\n' "$1" "$2" >>"${GITHUB_OUTPUT:?GITHUB_OUTPUT is not set: this script is for a runner of GitHub Actions}"
}

# is_true NAME: whether that boolean input is true.
is_true() {
    local value=${!1:-false}
    case $value in
        true) return 0 ;;
        false) return 1 ;;
        *) fail "$2: \`$value\` must be true or false" ;;
    esac
}

arguments=()

# add FLAG VALUE: adds a flag if it has a value, as one word, so that a value may begin with a dash.
add() {
    [ -z "$2" ] || arguments+=("$1=$2")
}

# add_unless FLAG VALUE DEFAULT: adds a flag if its value differs from the default.
add_unless() {
    [ "$2" = "$3" ] || arguments+=("$1=$2")
}

# Adds each line of `args` as one word.
add_args() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%$'\r'}
        [ -z "$line" ] || arguments+=("$line")
    done <<<"${INPUT_ARGS:-}"
}

command=${INPUT_COMMAND:-gate}
if [ "$command" != comment ]; then
    # The last value of an output counts: perfgate later writes its own.
    output verdict error
    output headline "perfgate ended before a verdict"
fi
folder=${INPUT_OUTPUT:-perfgate-out}
[[ $folder != *[[:cntrl:]]* ]] || fail "output: the folder name must not contain line breaks or other control characters"
[ -n "$folder" ] || fail "output: the folder name is empty"

case $command in
    gate)
        arguments=(gate)
        add --config "${INPUT_CONFIG:-}"
        add --thresholds "${INPUT_THRESHOLDS:-}"
        add --baseline "${INPUT_BASELINE:-}"
        add --baselines "${INPUT_BASELINES:-}"
        add --image "${INPUT_IMAGE:-}"
        add --base-image "${INPUT_BASE_IMAGE:-}"
        add --budget "${INPUT_BUDGET:-}"
        add --gpus "${INPUT_GPUS:-}"
        add --output "$folder"
        case $folder in
            /*) output folder "$folder" ;;
            *) output folder "$PWD/$folder" ;;
        esac
        ;;
    comment)
        arguments=(comment)
        add --artifact "${INPUT_ARTIFACT:-}"
        ;;
    *) fail "command: \`$command\` is not one of gate, comment, install" ;;
esac

add_unless --comment "${INPUT_COMMENT:-auto}" auto
add_unless --status-context "${INPUT_STATUS_CONTEXT-perfgate}" perfgate
add_unless --accept-label "${INPUT_ACCEPT_LABEL-perf-regression-accepted}" perf-regression-accepted
add --report-url "${INPUT_REPORT_URL:-}"
if is_true INPUT_CHECK_RUN check-run; then arguments+=(--check-run); fi
if is_true INPUT_REQUIRE_PUBLISH require-publish; then arguments+=(--require-publish); fi
add_args
if [ "$command" = comment ] && [ -z "${INPUT_ARTIFACT:-}" ]; then
    arguments+=(-- "${INPUT_COMPARISON:-$folder/comparison.json}")
fi

if [ -n "${INPUT_GITHUB_TOKEN:-}" ]; then
    printf '::add-mask::%s\n' "$(escaped "$INPUT_GITHUB_TOKEN")"
    export GITHUB_TOKEN=$INPUT_GITHUB_TOKEN
fi
if [ -n "${INPUT_HF_TOKEN:-}" ]; then
    printf '::add-mask::%s\n' "$(escaped "$INPUT_HF_TOKEN")"
    export HF_TOKEN=$INPUT_HF_TOKEN
fi
# The server under test inherits the environment.
unset "${!INPUT_@}"

# A cancelled job signals only this process; forward the signal so that perfgate removes the server.
perfgate "${arguments[@]}" &
child=$!
trap 'signalled=1; kill -TERM "$child" 2>/dev/null || true' INT TERM HUP
signalled=1
while [ -n "$signalled" ]; do
    # A signal ends `wait` but not the child.
    signalled=
    status=0
    wait "$child" || status=$?
done
output exit-code "$status"
exit "$status"
