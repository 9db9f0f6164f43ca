// Dropout masks, drawn on the GPU. They are bit-identical to those that NumPy's Philox generator draws on the CPU, so a
// run can move between the two. REAL is float or double.
//
// Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a key and a counter into four
// 64-bit words. NumPy splits each word into two halves, the low one first, and turns the upper 24 bits of each half
// into a number in [0, 1). Its counter starts at 1. Each thread draws the eight numbers of one value of the counter.

typedef REAL real;
typedef unsigned long long word;

extern "C" __global__ void dropout_masks(real *masks, word key0, word key1, float dropout, real scale, long long size) {
    const long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    word c0 = block + 1, c1 = 0, c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        const word product0 = 0xD2E7470EE14C6C93ull, product2 = 0xCA5A826395121157ull;
        const word high0 = __umul64hi(product0, c0), high2 = __umul64hi(product2, c2);
        const word next0 = high2 ^ c1 ^ key0, next2 = high0 ^ c3 ^ key1;
        c1 = product2 * c2;
        c3 = product0 * c0;
        c0 = next0;
        c2 = next2;
        key0 += 0x9E3779B97F4A7C15ull;
        key1 += 0xBB67AE8584CAA73Bull;
    }
    const word words[4] = {c0, c1, c2, c3};
    for (int half = 0; half < 8; half++) {
        const long long k = 8 * block + half;
        if (k >= size) return;
        const unsigned bits = (unsigned)(words[half / 2] >> (32 * (half % 2)));
        const float uniform = (bits >> 8) * (1.0f / 16777216.0f);
        masks[k] = uniform >= dropout ? scale : real(0);
    }
}
