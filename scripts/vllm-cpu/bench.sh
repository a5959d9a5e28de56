#!/usr/bin/env bash
# `vllm bench serve` against a running server, with the load that `perfgate bench` can send too: random token ids, exact
# lengths, closed loop. For comparing the two clients side by side.
#
#   bench.sh DIR PORT [CONCURRENCY] [PROMPTS]        prints the path of the JSON result
set -euo pipefail

dir=${1:?usage: bench.sh DIR PORT [CONCURRENCY] [PROMPTS]}
port=${2:?usage: bench.sh DIR PORT [CONCURRENCY] [PROMPTS]}
concurrency=${3:-4}
prompts=${4:-120}
out=$(mktemp -d)
export HF_HUB_OFFLINE=1
"$dir/venv/bin/vllm" bench serve --base-url "http://127.0.0.1:$port" --model tiny-llm --tokenizer "$dir/tiny-llm" \
    --dataset-name random --random-input-len 64 --random-output-len 32 --ignore-eos --temperature 0 --disable-tqdm \
    --num-prompts "$prompts" --max-concurrency "$concurrency" --num-warmups 16 --seed "$RANDOM" \
    --percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,95 \
    --save-result --result-dir "$out" --result-filename result.json >&2
echo "$out/result.json"
