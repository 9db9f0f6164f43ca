// Softmax cross-entropy, forward and backward: the twin of nn/ops.py. Targets below 0 are not counted.
//
// Compiled after reduce.cu.

// The row of V logits that a warp processes. Lane k takes logits k, k + WARP, k + 2 * WARP, ...
struct Row {
    int number, lane;

    __device__ Row() : number((blockIdx.x * blockDim.x + threadIdx.x) / WARP), lane(threadIdx.x % WARP) {}
};

//  p = softmax(logits)
//  losses = -log p[y]
//
// logits and p are (rows, V); y and losses are (rows,).
extern "C" __global__ void cross_entropy_forward(
    const real *logits, const int *y, real *p, real *losses, int rows, int V
) {
    const Row row;
    if (row.number >= rows) return;
    logits += (long long)row.number * V;
    p += (long long)row.number * V;

    real highest = logits[0];
    for (int k = row.lane; k < V; k += WARP) highest = max(highest, logits[k]);
    highest = warp_max(highest);

    real total = 0;
    for (int k = row.lane; k < V; k += WARP) total += p[k] = exp(logits[k] - highest);
    total = warp_sum(total);

    for (int k = row.lane; k < V; k += WARP) p[k] /= total;

    const int target = y[row.number];
    if (row.lane == 0) losses[row.number] = target < 0 ? real(0) : log(total) - (logits[target] - highest);
}

//  loss = sum(losses) / n,  n = number of counted targets
//
// Launched with one block. If `count` is set, n is written; otherwise it is read. The sum is in double, as in ops.py.
extern "C" __global__ void mean_loss(const real *losses, const int *y, int *n, real *loss, int rows, int count) {
    double sum = 0;
    int counted = 0;
    for (int row = threadIdx.x; row < rows; row += blockDim.x) {
        sum += losses[row];
        counted += y[row] >= 0;
    }
    sum = block_sum(sum);
    counted = block_sum(counted);
    if (threadIdx.x) return;
    if (count) *n = counted;
    *loss = sum / max(*n, 1);
}

//  dlogits = (p - one_hot(y)) / n
extern "C" __global__ void cross_entropy_backward(
    const real *p, const int *y, const int *n, real *dlogits, int rows, int V
) {
    const Row row;
    if (row.number >= rows) return;
    p += (long long)row.number * V;
    dlogits += (long long)row.number * V;

    const int target = y[row.number];
    const real scale = target < 0 ? real(0) : 1 / real(max(*n, 1));
    for (int k = row.lane; k < V; k += WARP) dlogits[k] = (p[k] - real(k == target)) * scale;
}
