// The recurrence of an LSTM layer, all T steps in one launch forward and one backward: the twin of the loops in lstm.py.
//
// Step by step, a product and an update are launched for every step, and the recurrent weights W_h are read again for each.
// Here they are read once. Each block of threads does the update of UNITS units of the layer, for one part of the batch, and
// keeps N columns of weights in shared memory through all steps: forward its units' own, for all four gates; backward those of
// one gate for 4 * UNITS units, whose products with the other gates come from three neighbours. After each step it waits
// for all blocks of its part; parts of the batch do not wait for each other. All blocks must run at the same time, which a
// cooperative launch guarantees.
//
// Comes after ptx.cu and gates.cu, whose layouts these are. The sizes in capitals are given by recurrence.py. H is a multiple of
// UNITS. TILE_ROWS says how products are done: it is how many rows a thread sums up, or 0: tensor cores do it, in TF32.

constexpr int N = 4 * UNITS;  // as many as shared memory has banks

extern __shared__ __align__(32) real memory[];  // the block's weights (K, N), then room for a product

// -- x (rows, K) @ weights (K, N), the weights and a chunk of x at a time in shared memory

// Where [k, n] lies in an array of N columns. They change places from row to row, so that what a warp reads and writes together
// lies in different banks; four that follow each other from a multiple of 4 stay together.
__device__ int at(int k, int n) { return k * N + (n ^ 8 * (k % 4)); }

#if TILE_ROWS

struct alignas(4 * sizeof(real)) Four {
    real number[4];
};

__device__ Four four(const real *from) { return *reinterpret_cast<const Four *>(from); }

// What a thread sums up: TILE_ROWS rows by 4 columns, over its slice of k.
struct Tile {
    int groups, slices;  // of rows, and of k
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

// What a warp sums up: ROWS rows by all columns, over its slice of k.
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

// Begin to copy columns of x into shared memory; x has rows `pitch` apart. A warp copies row by row.
__device__ void fetch(real *chunk, int stride, const real *x, int pitch, int rows, int columns) {
    constexpr int numbers = 16 / sizeof(real);
    for (int row = threadIdx.x / WARP; row < rows; row += THREADS / WARP)
        for (int k = threadIdx.x % WARP * numbers; k < columns; k += WARP * numbers)
            copy_16_bytes(chunk + row * stride + k, x + (long long)row * pitch + k);
}

// Multiply: the sums (rows, N) are left at the beginning of `room`. While one chunk of x is worked on, the next one arrives.
__device__ void multiply(const real *x, int pitch, int rows, int K, const real *weights, real *room, int columns) {
    Tile tile(rows);
    const int stride = columns + PADDING;
    real *chunk = room, *other = room + tile.rows() * stride;
    fetch(chunk, stride, x, pitch, rows, min(columns, K));
    for (int first = 0; first < K; first += columns) {
        wait_for_copies();
        __syncthreads();  // this chunk is there, and nobody still reads the one before it
        const int next = first + columns;
        if (next < K) fetch(other, stride, x + next, pitch, rows, min(columns, K - next));
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

// Wait until so many blocks have come to this counter; what they wrote before is seen afterwards. A block that waits in vain
// ends the whole kernel with an error; otherwise the host would wait forever.
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
// h and c are (T + 1, B, H), the first given; a_x (T, B, 4H). `sequences` are in a part, `columns` in a chunk. Counters
// (T, parts) begin at 0. gridDim is (1, H / UNITS, parts).
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
            __syncthreads();  // the sums have been read: the next product may overwrite them
        }
        if (t + 1 < T) meet(counters + t * gridDim.z + blockIdx.z, gridDim.y);
    }
}

//  da[t], dc[t-1] = lstm_backward(dh_t, dc[t])
//  dh_t = da_i[t] @ W_i^T + da_f[t] @ W_f^T + da_o[t] @ W_o^T + da_g[t] @ W_g^T + dh[t]
//
// dh (T + 1, B, H) arrives from outside. dh_t and dc_t (B, H) are at first what arrives at h[T] and c[T], and in the end what
// arrives at h[0] and c[0]. da is (T, B, 4H). The four products of a step, each done by another block, meet in `products`
// (4, B, H). Counters (T, parts, 1 + neighbourhoods) begin at 0. gridDim is (1, 4 * neighbourhoods, parts); in the last
// neighbourhood there may be too few units for all.
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
            __syncthreads();  // the sums have been read
        }
        meet(counter + 1 + neighbourhood, 4);
        for (int k = threadIdx.x; k < updates; k += THREADS) {
            const long long now = (long long)(begin + k / UNITS) * H + own + k % UNITS;
            real sum = dh[t * step + now];
            for (int gate = 0; gate < 4; gate++) sum += __ldcg(products + gate * step + now);  // others have written them
            dh_t[now] = sum;
        }
    }
}
