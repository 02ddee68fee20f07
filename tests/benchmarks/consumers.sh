#!/usr/bin/env bash
# Opens exported ONNX artifacts where others would: optimum's ORTModelForSequenceClassification (a venv of its own with
# transformers 4.57) and transformers.js under Node, each with its own tokenizer, and compares their probabilities with
# those of `compress predict`. Run by hand; the first run installs about 2 GB.
#
#     tests/benchmarks/consumers.sh [--input FILE] ARTIFACT [ARTIFACT...]
#     tests/benchmarks/consumers.sh --input data/test_rare.csv runs/a/artifacts/student-onnx runs/a/artifacts/student-int8
#
# --input: CSV, TSV, JSONL or plain lines; its first 50 texts are used, by default 50 built-in ones. Awkward texts (empty,
#     Unicode, longer than the model takes, upper case, line ends) are always added.
# PYTHON: the interpreter that has compress, by default python.
# CONSUMERS_WORK: folder for the venv, the Node modules and the logits, used again when it exists; by default a new
#     temporary one, which is left there.
#
# fp32: every probability within 1e-4 of `compress predict`, one text at a time and padded together. Others (dynamic int8
# depends on the padding): one text at a time on both sides. Exits 1 if one differs or a consumer cannot open a file.
set -euo pipefail

TRANSFORMERS_JS=4.3.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python}
input=()
if [[ ${1:-} == --input ]]; then
    input=(--input "${2:?--input needs a file}")
    shift 2
fi
if [[ $# -eq 0 || $1 == -* ]]; then
    sed -n '2,/^set /{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit 2
fi

work=${CONSUMERS_WORK:-$(mktemp -d "${TMPDIR:-/tmp}/consumers.XXXXXX")}
mkdir -p "$work"
work=$(cd "$work" && pwd)
echo "working in $work"

if [[ ! -e $work/optimum/.installed ]]; then
    "$python" -m venv "$work/optimum"
    "$work/optimum/bin/pip" install --quiet --disable-pip-version-check \
        'optimum-onnx[onnxruntime]==0.1.0' 'transformers==4.57.*' torch==2.13.0
    touch "$work/optimum/.installed"
fi

major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
if [[ $major -lt 20 ]]; then
    echo "transformers.js needs Node 20 or newer, this is $(node --version)" >&2
    exit 2
fi
if [[ ! -e $work/node/.installed-$TRANSFORMERS_JS ]]; then
    mkdir -p "$work/node"
    # --ignore-scripts: the CPU build is inside the npm package; onnxruntime-node's script would fetch a CUDA one
    npm install --prefix "$work/node" --ignore-scripts --no-audit --no-fund --loglevel=error \
        "@huggingface/transformers@$TRANSFORMERS_JS"
    touch "$work/node/.installed-$TRANSFORMERS_JS"
fi
# modules are found from where the script lies
cp "$here/consumers_transformersjs.mjs" "$work/node/"

export HF_HUB_OFFLINE=1
compare=("$python" "$here/consumers_compare.py")
failed=0
for artifact in "$@"; do
    artifact=$(cd "$artifact" && pwd)
    out=$(mktemp -d "$work/result.XXXXXX")
    "${compare[@]}" expect "$artifact" "$out" "${input[@]}"
    "$work/optimum/bin/python" "$here/consumers_optimum.py" "$artifact" "$out/texts.json" "$out/optimum.json" || failed=1
    node "$work/node/consumers_transformersjs.mjs" "$artifact" "$out/texts.json" "$out/transformersjs.json" || failed=1
    "${compare[@]}" judge "$artifact" "$out" || failed=1
done
exit $failed
