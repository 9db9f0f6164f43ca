// RMSprop in one launch: the twin of optim.py. One thread changes one parameter. REAL is float or double.

typedef REAL real;

//  m = alpha * m + (1 - alpha) * g^2
//  p -= lr * g / (sqrt(m) + epsilon)
extern "C" __global__ void rmsprop(
    real *p, const real *g, real *m, real lr, real alpha, real rest, real epsilon, long long size
) {
    const long long k = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= size) return;
    const real mean_square = alpha * m[k] + rest * g[k] * g[k];  // rest is 1 - alpha, rounded once
    m[k] = mean_square;
    p[k] -= lr * g[k] / (sqrt(mean_square) + epsilon);
}
