// The optimisers, one launch each, and the norm of the gradient: the twin of training/optim.py. In an optimiser, each
// thread updates one parameter.
//
// Compiled after reduce.cu.

__device__ long long thread_number() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

//  g *= factor
//  sums = sum of g^2, one for each block
extern "C" __global__ void scale_and_square(real *g, real *sums, real factor, long long size) {
    real sum = 0;
    for (long long k = thread_number(); k < size; k += (long long)gridDim.x * blockDim.x) {
        const real scaled = g[k] * factor;
        g[k] = scaled;
        sum += scaled * scaled;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

//  m = alpha * m + (1 - alpha) * g^2
//  p -= lr * g / (sqrt(m) + epsilon)
extern "C" __global__ void rmsprop(
    real *p, const real *g, real *m, real lr, real alpha, real rest, real epsilon, long long size
) {
    const long long k = thread_number();
    if (k >= size) return;
    const real mean_square = alpha * m[k] + rest * g[k] * g[k];  // rest is 1 - alpha, computed in double
    m[k] = mean_square;
    p[k] -= lr * g[k] / (sqrt(mean_square) + epsilon);
}

//  m = beta1 * m + (1 - beta1) * g
//  v = beta2 * v + (1 - beta2) * g^2
//  p -= rate * m / (sqrt(v / correction) + epsilon)
//
// rate is lr / (1 - beta1^step), and correction is 1 - beta2^step. rest1 is 1 - beta1, and rest2 is 1 - beta2.
extern "C" __global__ void adam(
    real *p, const real *g, real *m, real *v, real rate, real correction, real beta1, real rest1, real beta2, real rest2,
    real epsilon, long long size
) {
    const long long k = thread_number();
    if (k >= size) return;
    const real mean = beta1 * m[k] + rest1 * g[k];
    const real mean_square = beta2 * v[k] + rest2 * g[k] * g[k];
    m[k] = mean;
    v[k] = mean_square;
    p[k] -= rate * mean / (sqrt(mean_square / correction) + epsilon);
}
