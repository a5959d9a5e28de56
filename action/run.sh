#!/usr/bin/env bash
# Runs perfgate with the inputs of the action, which come by the environment as INPUT_…. Every input becomes one word of an
# array, whatever stands in it: no shell reads it again.
set -euo pipefail

# escaped TEXT: as the message of a workflow command, which no text can break out of.
escaped() {
    local text=${1//'%'/%25}
    text=${text//$'\r'/%0D}
    printf '%s' "${text//$'\n'/%0A}"
}

# fail MESSAGE: an annotation of the run, and the end as a usage error.
fail() {
    printf '::error title=perfgate::%s\n' "$(escaped "$1")"
    exit 2
}

# output NAME VALUE: one of the step's outputs; callers see to it that no value has a line break.
output() {
    printf '%s=%s\n' "$1" "$2" >>"${GITHUB_OUTPUT:?GITHUB_OUTPUT is not set: this script is for a runner of GitHub Actions}"
}

# is_true NAME: whether that input, a truth value, is true.
is_true() {
    local value=${!1:-false}
    case $value in
        true) return 0 ;;
        false) return 1 ;;
        *) fail "$2: \`$value\` is neither true nor false" ;;
    esac
}

arguments=()

# add FLAG VALUE: where there is a value. In one word, so that a value that begins with a dash stays a value.
add() {
    [ -z "$2" ] || arguments+=("$1=$2")
}

# add_unless FLAG VALUE USUAL: where it differs from what perfgate does by itself.
add_unless() {
    [ "$2" = "$3" ] || arguments+=("$1=$2")
}

# What each line of `args` says, a word a line.
add_args() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%$'\r'}
        [ -z "$line" ] || arguments+=("$line")
    done <<<"${INPUT_ARGS:-}"
}

command=${INPUT_COMMAND:-gate}
if [ "$command" != comment ]; then
    # The last word counts: perfgate writes its own behind these.
    output verdict error
    output headline "perfgate ended before there was a verdict"
fi
folder=${INPUT_OUTPUT:-perfgate-out}
[[ $folder != *[[:cntrl:]]* ]] || fail "output: a folder's name has no line breaks or other control characters"
[ -n "$folder" ] || fail "output: the folder has no name"

case $command in
    gate)
        arguments=(gate)
        add --config "${INPUT_CONFIG:-}"
        add --thresholds "${INPUT_THRESHOLDS:-}"
        add --baseline "${INPUT_BASELINE:-}"
        add --baselines "${INPUT_BASELINES:-}"
        add --image "${INPUT_IMAGE:-}"
        add --base-image "${INPUT_BASE_IMAGE:-}"
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
    *) fail "command: \`$command\` is none of gate, comment, install" ;;
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
# The server under test inherits what is left.
unset "${!INPUT_@}"

# A cancelled job signals this process alone; perfgate must hear of it, to remove the server.
perfgate "${arguments[@]}" &
child=$!
trap 'signalled=1; kill -TERM "$child" 2>/dev/null || true' INT TERM HUP
signalled=1
while [ -n "$signalled" ]; do
    # A signal ends `wait`, and not the child.
    signalled=
    status=0
    wait "$child" || status=$?
done
output exit-code "$status"
exit "$status"
