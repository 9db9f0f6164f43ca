// Sums and maxima over the threads of a warp or a block. Every thread gets the result, which is the same every time,
// because the numbers are always added in the same order. REAL is float or double; WARP is the size of a warp.

typedef REAL real;

extern __shared__ double memory[];  // one number for each warp of the block

template <class Number> __device__ Number warp_sum(Number x) {
    for (int distance = WARP / 2; distance; distance /= 2) x += __shfl_xor_sync(0xffffffff, x, distance);
    return x;
}

template <class Number> __device__ Number warp_max(Number x) {
    for (int distance = WARP / 2; distance; distance /= 2) x = max(x, __shfl_xor_sync(0xffffffff, x, distance));
    return x;
}

template <class Number> __device__ Number block_sum(Number x) {
    Number *const sums = reinterpret_cast<Number *>(memory);
    x = warp_sum(x);
    __syncthreads();  // every thread has read the sums of an earlier call
    if (threadIdx.x % WARP == 0) sums[threadIdx.x / WARP] = x;
    __syncthreads();
    Number sum = 0;
    for (int warp = 0; warp < blockDim.x / WARP; warp++) sum += sums[warp];
    return sum;
}
