// The recurrence of an LSTM layer, all T steps in one launch forward and one backward: the twin of the loops in lstm.py.
//
// Step by step, a product and an update are launched for every step, and the recurrent weights W_h are read again for each.
// Here they are read once. A block of threads owns UNITS units of the layer, for one part of the batch: it keeps those
// columns of W_h (forward), or rows (backward), in shared memory through all steps, multiplies with them what all units of the
// step before have given, and does the update of its own units. Then it waits until all blocks of its part have done the same.
// Parts of the batch do not wait for each other. gridDim is (H / UNITS, parts); all blocks must run at the same time, which a
// cooperative launch guarantees.
//
// Comes after ptx.cu and gates.cu, whose layouts these are. The sizes in capitals are given by recurrence.py. H is a multiple of
// UNITS. TILE_ROWS says how products are done: it is how many rows a thread sums up, or 0: tensor cores do it, in TF32.

extern __shared__ __align__(32) real memory[];  // the block's weights (K, N), then room for a product

// -- x (rows, K) @ weights (K, N), the weights and a chunk of x at a time in shared memory

// Where weights[k, n] lies; four that follow each other from a multiple of 4 stay together. Where rows are as long as all
// banks of shared memory, columns change places from row to row, so that tensor cores read from different banks.
template <int N> __device__ int at(int k, int n) { return k * N + (N == WARP ? n ^ 8 * (k % 4) : n); }

#if TILE_ROWS

struct alignas(4 * sizeof(real)) Four {
    real number[4];
};

__device__ Four four(const real *from) { return *reinterpret_cast<const Four *>(from); }

// What a thread sums up: TILE_ROWS rows by 4 columns, over its slice of k.
template <int N> struct Tile {
    int groups, slices;       // of rows, and of k
    int group, slice, column;
    real sum[TILE_ROWS][4] = {};

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
            for (int q = 0; q < 4; q++) w[q] = four(weights + at<N>(k + q, column));
            for (int r = 0; r < TILE_ROWS; r++) {
                const Four numbers = four(x + row(r) * stride + k);
                for (int q = 0; q < 4; q++)
                    for (int n = 0; n < 4; n++) sum[r][n] += numbers.number[q] * w[q].number[n];
            }
        }
    }

    __device__ void store(real *sums) const {
        if (slice >= slices) return;
        for (int r = 0; r < TILE_ROWS; r++)
            for (int n = 0; n < 4; n++) sums[(slice * rows() + row(r)) * N + column + n] = sum[r][n];
    }
};

#else

// What a warp sums up: all rows and columns, over its slice of k.
template <int N> struct Tile {
    static constexpr int slices = THREADS / WARP, most = ROWS / 16;
    int groups;  // of 16 rows
    int slice, lane;
    float sum[most][N / 8][4] = {};

    __device__ Tile(int rows) {
        groups = (rows + 15) / 16;
        slice = threadIdx.x / WARP;
        lane = threadIdx.x % WARP;
    }

    __device__ int rows() const { return groups * 16; }

    __device__ static float rounded(float weight) { return round_to_tf32(weight); }

    __device__ void add(const float *x, int stride, const float *weights, int K) {
        for (int k = 8 * slice; k < K; k += 8 * slices) {
            float b[N / 8][2];
            for (int n = 0; n < N / 8; n++)
                for (int q = 0; q < 2; q++) b[n][q] = weights[at<N>(k + lane % 4 + 4 * q, 8 * n + lane / 4)];
#pragma unroll
            for (int m = 0; m < most; m++) {
                if (m >= groups) break;
                const float *corner = x + (16 * m + lane / 4) * stride + k + lane % 4;
                const float a[4] = {
                    round_to_tf32(corner[0]), round_to_tf32(corner[8 * stride]), round_to_tf32(corner[4]),
                    round_to_tf32(corner[8 * stride + 4])
                };
                for (int n = 0; n < N / 8; n++) multiply_on_tensor_core(sum[m][n], a, b[n]);
            }
        }
    }

    __device__ void store(float *sums) const {
#pragma unroll
        for (int m = 0; m < most; m++) {
            if (m >= groups) break;
            for (int n = 0; n < N / 8; n++)
                for (int q = 0; q < 4; q++) {
                    const int row = 16 * m + lane / 4 + q / 2 * 8, column = 8 * n + lane % 4 * 2 + q % 2;
                    sums[(slice * rows() + row) * N + column] = sum[m][n][q];
                }
        }
    }
};

#endif

// Begin to copy columns of x (rows, K) into shared memory.
__device__ void fetch(real *chunk, int stride, const real *x, int K, int rows, int columns) {
    constexpr int numbers = 16 / sizeof(real);
    const int pieces = columns / numbers;
    for (int k = threadIdx.x; k < rows * pieces; k += THREADS) {
        const int row = k / pieces, first = k % pieces * numbers;
        copy_16_bytes(chunk + row * stride + first, x + (long long)row * K + first);
    }
}

// Multiply: the sums (rows, N) are left at the beginning of `room`. While one chunk of x is worked on, the next one arrives.
template <int N> __device__ void multiply(const real *x, int rows, int K, const real *weights, real *room, int columns) {
    Tile<N> tile(rows);
    const int stride = columns + PADDING;
    real *chunk = room, *other = room + tile.rows() * stride;
    fetch(chunk, stride, x, K, rows, min(columns, K));
    for (int first = 0; first < K; first += columns) {
        wait_for_copies();
        __syncthreads();  // this chunk is there, and nobody still reads the one before it
        const int next = first + columns;
        if (next < K) fetch(other, stride, x + next, K, rows, min(columns, K - next));
        tile.add(chunk, stride, weights + first * N, min(columns, K - first));
        real *const free = chunk;
        chunk = other;
        other = free;
    }
    __syncthreads();  // nobody reads a chunk any more: the sums of the slices take their place
    tile.store(room);
    __syncthreads();
    for (int k = threadIdx.x; k < rows * N; k += THREADS) {
        real sum = room[k];
        for (int slice = 1; slice < tile.slices; slice++) sum += room[slice * tile.rows() * N + k];
        room[k] = sum;
    }
    __syncthreads();
}

// -- blocks and the parts of the batch

// Wait until all blocks of a part have come to this counter; what they wrote before is seen afterwards.
__device__ void meet(unsigned *counter) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(counter, 1u);
        while (read_counter(counter) < gridDim.x) {}
    }
    __syncthreads();
}

//  a[t] = a_x[t] + h[t-1] @ W_h
//  h[t], c[t] = lstm(a[t], c[t-1])
//
// h and c are (T + 1, B, H), the first given; a_x (T, B, 4H). `texts` are in a part, `columns` in a chunk. Counters (T, parts)
// begin at 0.
extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrence_forward(
    const real *a_x, const real *W_h, real *gates, real *h, real *c, real *s, unsigned *counters,
    int T, int B, int H, int texts, int columns, int paper
) {
    constexpr int N = 4 * UNITS;
    const int own = blockIdx.x * UNITS, begin = blockIdx.y * texts, end = min(begin + texts, B);
    const long long step = (long long)B * H;
    real *const room = memory + H * N;
    for (int k = threadIdx.x; k < H * N; k += THREADS) {
        const int from = k / N, gate = k % N / UNITS, unit = k % UNITS;
        memory[at<N>(from, k % N)] = Tile<N>::rounded(W_h[((long long)from * 4 + gate) * H + own + unit]);
    }
    for (int t = 0; t < T; t++) {
        for (int first = begin; first < end; first += ROWS) {
            const int rows = min(ROWS, end - first);
            multiply<N>(h + t * step + (long long)first * H, rows, H, memory, room, columns);
            for (int k = threadIdx.x; k < rows * UNITS; k += THREADS) {
                const int text = first + k / UNITS, unit = own + k % UNITS;
                const long long single = ((long long)t * B + text) * H + unit;
                const real *x = a_x + 4 * (single - unit) + unit, *y = room + k / UNITS * N + k % UNITS;
                update(
                    x[0] + y[0], x[H] + y[UNITS], x[2 * H] + y[2 * UNITS], x[3 * H] + y[3 * UNITS], c[single],
                    gates + single + 3 * t * step, step, c + single + step, s + single, h + single + step, paper
                );
            }
            __syncthreads();  // the sums have been read: the next product may overwrite them
        }
        if (t + 1 < T) meet(counters + t * gridDim.y + blockIdx.y);
    }
}

//  da[t], dc[t-1] = lstm_backward(dh_t, dc[t])
//  dh_t = da[t] @ W_h^T + dh[t]
//
// dh (T + 1, B, H) arrives from outside. dh_t and dc_t (B, H) are at first what arrives at h[T] and c[T], and in the end what
// arrives at h[0] and c[0]. da is (T, B, 4H).
extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrence_backward(
    const real *dh, real *dh_t, real *dc_t, const real *W_h, const real *gates, const real *c, const real *s, real *da,
    unsigned *counters, int T, int B, int H, int texts, int columns, int paper
) {
    constexpr int N = UNITS;
    const int own = blockIdx.x * UNITS, begin = blockIdx.y * texts, end = min(begin + texts, B);
    const long long step = (long long)B * H;
    real *const room = memory + 4 * H * N;
    for (int k = threadIdx.x; k < 4 * H * N; k += THREADS) {
        const int from = k % (4 * H), unit = k / (4 * H);
        memory[at<N>(from, unit)] = Tile<N>::rounded(W_h[(long long)(own + unit) * 4 * H + from]);
    }
    for (int t = T - 1; t >= 0; t--) {
        for (int k = threadIdx.x; k < (end - begin) * UNITS; k += THREADS) {
            const long long now = (long long)(begin + k / UNITS) * H + own + k % UNITS, single = t * step + now;
            update_backward(
                dh_t[now], dc_t + now, gates + single + 3 * t * step, step, c[single], c[single + step], s[single],
                da + 4 * (single - own - k % UNITS) + own + k % UNITS, H, paper
            );
        }
        meet(counters + t * gridDim.y + blockIdx.y);
        for (int first = begin; first < end; first += ROWS) {
            const int rows = min(ROWS, end - first);
            multiply<N>(da + 4 * (t * step + (long long)first * H), rows, 4 * H, memory, room, columns);
            for (int k = threadIdx.x; k < rows * UNITS; k += THREADS) {
                const long long now = (long long)(first + k / UNITS) * H + own + k % UNITS;
                dh_t[now] = room[k] + dh[t * step + now];
            }
            __syncthreads();
        }
    }
}
