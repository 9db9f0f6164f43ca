#!/usr/bin/env bash
# Check, measure, profile and train on an NVIDIA GPU in a few minutes.
#
#   bash benchmarks/gpu.sh first --out DIR [--seconds N] [--rehearse]
#   bash benchmarks/gpu.sh second --out DIR [--seconds N] [--rehearse]
#
# first         tests, training steps beside PyTorch's, a profile
# second        a real training, and all peers at more sizes
# --out DIR     the folder for the results; it is made if it does not exist
# --seconds N   stop after at most N seconds (default: 400 for first; 450 for second, which needs 250)
# --rehearse    run tiny sizes without a GPU, on the stand-in for CuPy that the tests use
#
# The parts are independent: one that fails or hangs costs only its own time, and what it has written so far is kept.
# See benchmarks/gpu.md for what the results mean.
set -u
cd "$(dirname "$0")/.." || exit 1

manual() { sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p}' benchmarks/gpu.sh; }
usage() { echo "usage: bash benchmarks/gpu.sh first|second --out DIR [--seconds N] [--rehearse]; --help says more" >&2; exit 2; }

plan=${1:-}; [ $# -gt 0 ] && shift
case $plan in
first) seconds=400 ;;
second) seconds=450 ;;
-h | --help) manual; exit 0 ;;
*) usage ;;
esac
out=
rehearse=
while [ $# -gt 0 ]; do
    case $1 in
    --out) out=${2:-}; shift ;;
    --seconds) seconds=${2:-}; shift ;;
    --rehearse) rehearse=yes ;;
    -h | --help) manual; exit 0 ;;
    *) usage ;;
    esac
    shift || usage
done
[ -n "$out" ] || usage
[[ $seconds =~ ^[0-9]+$ ]] || usage
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)

export PYTHONPATH=".${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 OPENBLAS_NUM_THREADS=4 TORCHINDUCTOR_COMPILE_THREADS=1
export MINIGRID_REQUIRE_GPU=yes
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
run=$scratch/run

main="lstm:3x1000 grid:6x1000 grid:3x512 lstm:2x512 grid:2x128 lstm:2x128"
profiled="lstm:3x1000 grid:6x1000 lstm:2x128"
grown="grid:3x512:B=200 grid:3x512:B=1000 grid:3x512:T=150 lstm:1x520 lstm:1x1024"
checked="grid:2x128 lstm:2x128"
few="grid:2x128"
rates="floor:1x8192"
model="--layers 6 --hidden 1000 --lr 1e-3 --corpus toywiki --eval-every 500"
train=$((seconds / 4 < 60 ? seconds / 4 : 60))
test_processes=6 test_seconds=45 tests=
options=
shorter=1
if [ -n "$rehearse" ]; then
    export PYTHONPATH="tests/stand_in:$PYTHONPATH" MINIGRID_HOST_KERNELS=${MINIGRID_HOST_KERNELS:-$scratch} \
        TORCH_COMPILE_DISABLE=1
    main="lstm:1x8:T=3,B=2,V=5 grid:2x8:T=3,B=2,V=5"
    profiled="grid:1x8:T=3,B=2,V=5" grown="grid:1x8:T=4,B=2,V=5" checked=$main few=$grown rates="floor:1x32"
    model="--layers 1 --hidden 8 --batch 2 --steps 5 --data benchmarks/gpu.md --eval-every 10 --max-steps 20"
    test_processes=2 test_seconds=4 tests=checkpoints
    options="--budget 0.01 --patience 10 --device cpu"
    shorter=2
fi

# part NAME LIMIT FILE COMMAND...: run a command for so many seconds at most, its output at the end of a file
part() {
    local name=$1 limit=$(($2 / shorter)) file=$3 left=$((seconds - 10 - SECONDS)) begin=$SECONDS
    shift 3
    [ "$limit" -lt "$left" ] || limit=$left
    if [ "$limit" -lt 5 ]; then
        echo "$name: not begun at $SECONDS s, for want of time" | tee -a "$out/parts.txt"
        return
    fi
    echo "# $name" >>"$out/errors.txt"
    timeout -k 5 "$limit" "$@" >>"$out/$file" 2>>"$out/errors.txt"
    echo "$name: exit code $? after $((SECONDS - begin)) of $limit s, at $SECONDS s" | tee -a "$out/parts.txt"
}

# measure LIMIT SIDES PRECISIONS CASES...: the sides of benchmarks/gpu/helpers/sides.py
measure() {
    local limit=$1 sides=$2 precisions=$3
    shift 3
    part "$sides, $precisions" "$limit" cases.jsonl \
        python3 -m benchmarks.gpu.measure --sides "$sides" --precisions "$precisions" $options "$@"
}

state() {
    part "state" 10 state.txt nvidia-smi --format=csv \
        --query-gpu=name,driver_version,memory.used,clocks.sm,clocks.mem,temperature.gpu,power.draw
}

first() {
    state
    timeout 60 python3 -c "import torch" 2>>"$out/errors.txt" &  # the first import on a machine may take long
    # A test that hangs on the GPU is ended with its process. Interrupted, pytest still says what has failed, but may take
    # ten seconds for it.
    part "tests" 90 tests.txt timeout -s INT $((70 / shorter)) python3 -m pytest tests/test_gpu.py -n "$test_processes" -vv \
        -rfEs --tb=short -p no:cacheprovider --timeout=$test_seconds --timeout-method=thread -k "$tests"
    wait
    measure 90 minigrid float32,tf32 $main
    measure 70 eager float32,tf32 $main
    measure 60 profile tf32 $profiled
    measure 60 gradients float32,tf32 $checked
    state
}

second() {
    state
    part "training" $((train + 20)) train.txt timeout --foreground --preserve-status -s INT "$train" \
        python3 train.py --backend cupy --tf32 --model grid $model --run "$run"
    [ -e "$run/metrics.jsonl" ] && cp "$run/metrics.jsonl" "$out/metrics.jsonl"
    part "checkpoint on NumPy" 40 cases.jsonl python3 -m benchmarks.gpu.training "$run"
    measure 80 minigrid,steps tf32 $main
    measure 100 graph,floor tf32,float32 $main $rates
    measure 80 minigrid,steps float32 $main
    measure 80 minigrid,steps tf32 $grown
    measure 60 graph tf32 $grown
    measure 80 minigrid,steps float32 $grown
    measure 50 cells tf32 $few
    measure 120 compiled tf32 $few --patience 110
    state
}

"$plan"
python3 -m benchmarks.gpu.report "$out"
