// The recurrence of an LSTM layer: all T steps in one launch forward, one backward. The twin of the loops over time in
// nn/cells/lstm.py.
//
// A loop over steps on the host launches a product and an update per step, and each product reads the recurrent weights
// W_h again. Here W_h is read once. Each block of threads updates UNITS hidden units of the layer for one part of the
// batch, and keeps N columns of weights in shared memory during all steps. In the forward pass, these are the columns
// of its own units for all four gates. In the backward pass, four neighbouring blocks share 4 * UNITS units: each
// multiplies the gradient of one gate's pre-activations by that gate's weights for all of these units, and then adds up
// the four products for its own units. At each step, a block waits for the others of its part of the batch; the parts
// do not wait for each other. All blocks must run at the same time, which a cooperative launch guarantees.
//
// Compiled after ptx.cu and gates.cu; arrays have the layouts of gates.cu. recurrence.py sets the macros UNITS,
// THREADS, PADDING, PATIENCE, ROWS and TILE_ROWS. H is a multiple of UNITS. TILE_ROWS is the number of rows of a
// product that each thread sums, or 0 to use tensor cores in TF32.

constexpr int N = 4 * UNITS;  // 32, the number of banks of shared memory

extern __shared__ __align__(32) real memory[];  // the block's weights (H, N), then room for a product

// -- x (rows, K) @ weights (K, N), with the weights and one chunk of columns of x in shared memory

// Index of element [k, n] in an array of N columns. The columns are permuted differently from row to row, so that the
// threads of a warp access different banks. Four columns that start at a multiple of 4 stay next to each other.
__device__ int at(int k, int n) { return k * N + (n ^ 8 * (k % 4)); }

#if TILE_ROWS

struct alignas(4 * sizeof(real)) Four {
    real number[4];
};

__device__ Four four(const real *from) { return *reinterpret_cast<const Four *>(from); }

// The part of a product that a thread sums: TILE_ROWS rows and 4 columns, over its slice of k.
struct Tile {
    int groups, slices;  // number of groups of rows, and of slices of k
    int group, slice, column;
    Four sum[TILE_ROWS] = {};

    __device__ Tile(int rows) {
        constexpr int columns = N / 4;
        groups = (rows + TILE_ROWS - 1) / TILE_ROWS;
        slices = THREADS / (columns * groups);
        column = 4 * (threadIdx.x % columns);
        group = threadIdx.x / columns % groups;
        slice = threadIdx.x / columns / groups;
    }

    __device__ int rows() const { return groups * TILE_ROWS; }

    __device__ int row(int r) const { return group + r * groups; }

    __device__ static real rounded(real weight) { return weight; }

    __device__ void add(const real *x, int stride, const real *weights, int K) {
        if (slice >= slices) return;
        for (int k = 4 * slice; k < K; k += 4 * slices) {
            Four w[4];
            for (int q = 0; q < 4; q++) w[q] = four(weights + at(k + q, column));
            for (int r = 0; r < TILE_ROWS; r++) {
                const Four numbers = four(x + row(r) * stride + k);
                for (int q = 0; q < 4; q++)
                    for (int n = 0; n < 4; n++) sum[r].number[n] += numbers.number[q] * w[q].number[n];
            }
        }
    }

    __device__ void store(real *sums) const {
        if (slice >= slices) return;
        for (int r = 0; r < TILE_ROWS; r++)
            *reinterpret_cast<Four *>(sums + slice * rows() * N + at(row(r), column)) = sum[r];
    }
};

#else

struct alignas(8) Two {
    float number[2];
};

// The part of a product that a warp sums: ROWS rows and all columns, over its slice of k.
struct Tile {
    static constexpr int slices = THREADS / WARP, groups = ROWS / 16, columns = N / 8;
    int slice, lane;
    float sum[groups][columns][4] = {};

    __device__ Tile(int) {
        slice = threadIdx.x / WARP;
        lane = threadIdx.x % WARP;
    }

    __device__ int rows() const { return ROWS; }

    __device__ static float rounded(float weight) { return round_to_tf32(weight); }

    __device__ void add(const float *x, int stride, const float *weights, int K) {
        for (int k = 8 * slice; k < K; k += 8 * slices) {
            float b[columns][2];
            for (int n = 0; n < columns; n++)
                for (int q = 0; q < 2; q++) b[n][q] = weights[at(k + lane % 4 + 4 * q, 8 * n + lane / 4)];
            for (int m = 0; m < groups; m++) {
                const float *corner = x + (16 * m + lane / 4) * stride + k + lane % 4;
                const float a[4] = {
                    round_to_tf32(corner[0]), round_to_tf32(corner[8 * stride]), round_to_tf32(corner[4]),
                    round_to_tf32(corner[8 * stride + 4])
                };
                for (int n = 0; n < columns; n++) multiply_on_tensor_core(sum[m][n], a, b[n]);
            }
        }
    }

    __device__ void store(float *sums) const {
        for (int m = 0; m < groups; m++)
            for (int n = 0; n < columns; n++)
                for (int half = 0; half < 2; half++) {
                    const int place = at(16 * m + 8 * half + lane / 4, 8 * n + lane % 4 * 2);
                    const Two two = {{sum[m][n][2 * half], sum[m][n][2 * half + 1]}};
                    *reinterpret_cast<Two *>(sums + slice * ROWS * N + place) = two;
                }
    }
};

#endif

// Start to copy columns of x into shared memory, one row per warp at a time. `pitch` is the distance between rows of x.
__device__ void fetch(real *chunk, int stride, const real *x, int pitch, int rows, int columns) {
    constexpr int numbers = 16 / sizeof(real);
    for (int row = threadIdx.x / WARP; row < rows; row += THREADS / WARP)
        for (int k = threadIdx.x % WARP * numbers; k < columns; k += WARP * numbers)
            copy_16_bytes(chunk + row * stride + k, x + (long long)row * pitch + k);
}

// Multiply x (rows, K) by the weights (K, N), and leave the product (rows, N) at the start of `room`. While the threads
// process one chunk of x, the next one is being copied.
__device__ void multiply(const real *x, int pitch, int rows, int K, const real *weights, real *room, int columns) {
    Tile tile(rows);
    const int stride = columns + PADDING;
    real *chunk = room, *other = room + tile.rows() * stride;
    fetch(chunk, stride, x, pitch, rows, min(columns, K));
    for (int first = 0; first < K; first += columns) {
        wait_for_copies();
        __syncthreads();  // this chunk has arrived, and no thread still reads the previous one
        const int next = first + columns;
        if (next < K) fetch(other, stride, x + next, pitch, rows, min(columns, K - next));
        tile.add(chunk, stride, weights + first * N, min(columns, K - first));
        real *const free = chunk;
        chunk = other;
        other = free;
    }
    __syncthreads();  // no thread reads a chunk any more: the sums of the slices overwrite them
    tile.store(room);
    __syncthreads();
    for (int k = threadIdx.x; k < rows * N; k += THREADS) {
        real sum = room[k];
        for (int slice = 1; slice < tile.slices; slice++) sum += room[slice * tile.rows() * N + k];
        room[k] = sum;
    }
    __syncthreads();
}

// -- the blocks and how they wait for each other

// Wait until `blocks` blocks have reached this counter; everything they wrote before is visible afterwards. A block
// that waits too long aborts the kernel with an error; otherwise the host would wait forever.
__device__ void meet(unsigned *counter, unsigned blocks) {
    __syncthreads();
    if (threadIdx.x == 0) {
        count(counter);
        const long long begin = clock64();
        while (read_counter(counter) < blocks)
            if (clock64() - begin > PATIENCE) __trap();
    }
    __syncthreads();
}

//  a[t] = a_x[t] + h[t-1] @ W_h
//  h[t], c[t] = lstm(a[t], c[t-1])
//
// h and c are (T + 1, B, H), and their first step is given; a_x is (T, B, 4H). A part of the batch has
// `sequences` sequences, a chunk `columns` columns. Counters (T, parts) start at 0. gridDim is (1, H / UNITS, parts).
extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrence_forward(
    const real *a_x, const real *W_h, real *gates, real *h, real *c, real *s, unsigned *counters,
    int T, int B, int H, int sequences, int columns, int paper
) {
    const int own = blockIdx.y * UNITS, begin = blockIdx.z * sequences, end = min(begin + sequences, B);
    const long long step = (long long)B * H;
    real *const room = memory + H * N;
    for (int k = threadIdx.x; k < H * N; k += THREADS) {
        const int from = k / N, gate = k % N / UNITS, unit = own + k % UNITS;
        memory[at(from, k % N)] = Tile::rounded(W_h[((long long)from * 4 + gate) * H + unit]);
    }
    for (int t = 0; t < T; t++) {
        for (int first = begin; first < end; first += ROWS) {
            const int rows = min(ROWS, end - first);
            multiply(h + t * step + (long long)first * H, H, rows, H, memory, room, columns);
            for (int k = threadIdx.x; k < rows * UNITS; k += THREADS) {
                const int row = k / UNITS, unit = own + k % UNITS;
                const long long single = ((long long)t * B + first + row) * H + unit;
                real a[4];
                for (int gate = 0; gate < 4; gate++)
                    a[gate] = a_x[4 * (single - unit) + gate * H + unit] + room[at(row, gate * UNITS + k % UNITS)];
                update(
                    a[0], a[1], a[2], a[3], c[single], gates + single + 3 * t * step, step,
                    c + single + step, s + single, h + single + step, paper
                );
            }
            __syncthreads();  // all sums have been read: the next product may overwrite them
        }
        if (t + 1 < T) meet(counters + t * gridDim.z + blockIdx.z, gridDim.y);
    }
}

//  da[t], dc[t-1] = lstm_backward(dh_t, dc[t])
//  dh_t = da_i[t] @ W_i^T + da_f[t] @ W_f^T + da_o[t] @ W_o^T + da_g[t] @ W_g^T + dh[t]
//
// dh (T + 1, B, H) is the gradient from outside the recurrence. dh_t and dc_t (B, H) are the gradients of h[T] and c[T]
// on entry, and of h[0] and c[0] on return. da is (T, B, 4H). A neighbourhood is four blocks, one per gate; they
// exchange the four products of a step in `products` (4, B, H). Counters (T, parts, 1 + neighbourhoods) start at 0.
// gridDim is (1, 4 * neighbourhoods, parts); in the last neighbourhood, some blocks may have no units to update.
extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrence_backward(
    const real *dh, real *dh_t, real *dc_t, const real *W_h, const real *gates, const real *c, const real *s, real *da,
    real *products, unsigned *counters, int T, int B, int H, int sequences, int columns, int paper
) {
    const int gate = blockIdx.y % 4, neighbourhood = blockIdx.y / 4, near = neighbourhood * N, own = near + gate * UNITS;
    const int begin = blockIdx.z * sequences, end = min(begin + sequences, B), updates = own < H ? (end - begin) * UNITS : 0;
    const long long step = (long long)B * H;
    real *const room = memory + H * N;
    for (int k = threadIdx.x; k < H * N; k += THREADS) {
        const int from = k % H, unit = near + k / H;
        const real weight = unit < H ? W_h[((long long)unit * 4 + gate) * H + from] : real(0);
        memory[at(from, k / H)] = Tile::rounded(weight);
    }
    for (int t = T - 1; t >= 0; t--) {
        unsigned *const counter = counters + (t * gridDim.z + blockIdx.z) * (1 + gridDim.y / 4);
        for (int k = threadIdx.x; k < updates; k += THREADS) {
            const int sequence = begin + k / UNITS, unit = own + k % UNITS;
            const long long now = (long long)sequence * H + unit, single = t * step + now;
            update_backward(
                dh_t[now], dc_t + now, gates + single + 3 * t * step, step, c[single], c[single + step], s[single],
                da + 4 * (single - unit) + unit, H, paper
            );
        }
        meet(counter, gridDim.y);
        for (int first = begin; first < end; first += ROWS) {
            const int rows = min(ROWS, end - first);
            multiply(da + 4 * (t * step + (long long)first * H) + gate * H, 4 * H, rows, H, memory, room, columns);
            for (int k = threadIdx.x; k < rows * N; k += THREADS) {
                const int row = k / N, unit = near + k % N;
                if (unit < H) products[gate * step + (long long)(first + row) * H + unit] = room[at(row, k % N)];
            }
            __syncthreads();  // all sums have been read
        }
        meet(counter + 1 + neighbourhood, 4);
        for (int k = threadIdx.x; k < updates; k += THREADS) {
            const long long now = (long long)(begin + k / UNITS) * H + own + k % UNITS;
            real sum = dh[t * step + now];
            // other blocks wrote the products: do not read them from this multiprocessor's L1 cache
            for (int gate = 0; gate < 4; gate++) sum += __ldcg(products + gate * step + now);
            dh_t[now] = sum;
        }
    }
}
