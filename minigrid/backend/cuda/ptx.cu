// Instructions that CUDA C++ lacks, in PTX, the GPU's assembler. Like recurrence.cu, needs compute capability 8.0.

// Start to copy 16 bytes from global to shared memory. The copy goes through the L2 cache, which all multiprocessors
// share, and so reads what any of them has written.
__device__ void copy_16_bytes(void *to, const void *from) {
    const unsigned address = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}

// Wait until all copies that this thread has started are complete.
__device__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Add 1 to a counter, after everything that this block wrote before its last __syncthreads (release).
__device__ void count(unsigned *counter) {
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}

// Read a counter. Everything that other blocks wrote before they added to it is visible afterwards (acquire).
__device__ unsigned read_counter(const unsigned *counter) {
    unsigned value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
    return value;
}

// Round to TF32, which keeps 10 bits of the mantissa.
__device__ float round_to_tf32(float x) {
    unsigned rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
    return __uint_as_float(rounded);
}

// sum (16, 8) += a (16, 8) @ b (8, 8) on the tensor core, by all lanes of a warp together; a and b are in TF32. Lane l
// holds these elements, with r = l / 4 and k = l % 4:
//   a     = [r, k], [r + 8, k], [r, k + 4], [r + 8, k + 4]
//   b     = [k, r], [k + 4, r]
//   sum   = [r, 2k], [r, 2k + 1], [r + 8, 2k], [r + 8, 2k + 1]
__device__ void multiply_on_tensor_core(float sum[4], const float a[4], const float b[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
                   "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}
