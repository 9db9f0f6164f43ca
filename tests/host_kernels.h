// Enough of CUDA to run kernels on the host.
//
// Blocks run one after the other, except in a cooperative launch: its blocks wait for each other, so each gets a thread
// of the host. The threads of a block run one after the other too, unless they wait for each other: then they take
// turns, each with its own stack, and each runs until it has to wait.

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <sched.h>
#include <thread>
#include <ucontext.h>
#include <utility>
#include <vector>

using std::exp;
using std::log;
using std::max;
using std::min;
using std::sqrt;
using std::tanh;

#define __device__
#define __global__
#define __shared__ __thread
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)

struct Numbers { unsigned x, y, z; };
static Numbers gridDim, blockDim;
static thread_local Numbers blockIdx, threadIdx;

// A point at which threads of a block wait for each other.
struct Barrier {
    unsigned arrived = 0, turn = 0;
};

struct Copy {
    void *to;
    const void *from;
};

struct Block {
    static constexpr size_t STACK = 1 << 16;
    static constexpr unsigned LANES = 32;

    ucontext_t host;
    std::vector<ucontext_t> threads;
    std::unique_ptr<char[]> stacks;
    std::vector<bool> done;
    unsigned current = 0;
    Barrier whole;
    std::vector<Barrier> warps;
    std::vector<double> exchanged;  // numbers that the lanes of each warp pass to each other and to the tensor core
    std::vector<std::vector<Copy>> copies;  // copies that each thread has started
    const std::function<void()> &kernel;

    Block(unsigned count, const std::function<void()> &kernel)
        : threads(count), stacks(new char[count * STACK]), done(count), warps(count / LANES + 1), exchanged(count * 6),
          copies(count), kernel(kernel) {}

    void run();

    void wait(Barrier &barrier, unsigned size) {
        if (++barrier.arrived == size) {
            barrier.arrived = 0;
            barrier.turn++;
            return;
        }
        const unsigned turn = barrier.turn;
        while (turn == barrier.turn) swapcontext(&threads[current], &host);
    }
};

static thread_local Block *block;

static void run_thread() {
    block->kernel();
    block->done[block->current] = true;
}

void Block::run() {
    block = this;
    for (unsigned k = 0; k < threads.size(); k++) {
        getcontext(&threads[k]);
        threads[k].uc_stack.ss_sp = &stacks[k * STACK];
        threads[k].uc_stack.ss_size = STACK;
        threads[k].uc_link = &host;
        makecontext(&threads[k], run_thread, 0);
    }
    for (size_t left = threads.size(); left;)
        for (current = 0; current < threads.size(); current++)
            if (!done[current]) {
                threadIdx = {current, 0, 0};
                swapcontext(&host, &threads[current]);
                left -= done[current];
            }
}

// The shared memory of a block and its size.
static char *shared_memory();
static size_t most_shared();

static void for_each_block(const std::function<void(Numbers)> &each) {
    for (unsigned x = 0; x < gridDim.x; x++)
        for (unsigned y = 0; y < gridDim.y; y++)
            for (unsigned z = 0; z < gridDim.z; z++) each({x, y, z});
}

// Run a block whose threads do not wait for each other.
static void run_one_by_one(Numbers index, const std::function<void()> &kernel) {
    blockIdx = index;
    for (unsigned thread = 0; thread < blockDim.x; thread++) {
        threadIdx = {thread, 0, 0};
        kernel();
    }
}

// Run a block whose threads take turns. Shared memory starts as NaN, and memory outside the block's share must stay so.
static void run_in_turns(Numbers index, size_t shared, const std::function<void()> &kernel) {
    blockIdx = index;
    std::memset(shared_memory(), 0xff, most_shared());
    Block(blockDim.x, kernel).run();
    for (size_t k = shared; k < most_shared(); k++)
        if ((unsigned char)shared_memory()[k] != 0xff) std::abort();
}

// Run the blocks of a cooperative launch; if $MINIGRID_LOSE_A_BLOCK is set, all but the first.
static void run_together(size_t shared, const std::function<void()> &kernel) {
    std::vector<std::thread> blocks;
    bool lost = std::getenv("MINIGRID_LOSE_A_BLOCK");
    for_each_block([&](Numbers index) {
        if (!std::exchange(lost, false)) blocks.emplace_back(run_in_turns, index, shared, std::cref(kernel));
    });
    for (auto &each : blocks) each.join();
}

enum How { ONE_BY_ONE, IN_TURNS, TOGETHER };

static void run(const unsigned *grid, unsigned threads, int how, size_t shared, const std::function<void()> &kernel) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    if (how == TOGETHER) run_together(shared, kernel);
    else if (how == IN_TURNS) for_each_block([&](Numbers index) { run_in_turns(index, shared, kernel); });
    else for_each_block([&](Numbers index) { run_one_by_one(index, kernel); });
}

// -- functions that kernels call

static void __syncthreads() { block->wait(block->whole, blockDim.x); }

// Return x of the lane whose index differs from this lane's in the bits of `mask`.
template <class Number> static Number __shfl_xor_sync(unsigned, Number x, int mask) {
    const unsigned lane = block->current % Block::LANES, warp = block->current / Block::LANES;
    double *const all = &block->exchanged[warp * Block::LANES * 6];
    all[lane] = x;
    block->wait(block->warps[warp], Block::LANES);
    const Number theirs = all[lane ^ mask];
    block->wait(block->warps[warp], Block::LANES);
    return theirs;
}

// Nanoseconds; a GPU counts cycles.
static long long clock64() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

static void __trap() { std::abort(); }

template <class Number> static Number __ldcg(const Number *from) { return *from; }

static unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }

// -- the twins of ptx.cu

// Copies complete as late as they may.
static void copy_16_bytes(void *to, const void *from) {
    if ((uintptr_t)to % 16 || (uintptr_t)from % 16) std::abort();  // as a GPU would
    block->copies[block->current].push_back({to, from});
}

static void wait_for_copies() {
    for (const Copy &copy : block->copies[block->current]) std::memcpy(copy.to, copy.from, 16);
    block->copies[block->current].clear();
}

static void count(unsigned *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELEASE); }

static unsigned read_counter(const unsigned *counter) {
    sched_yield();
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static float round_to_tf32(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    bits = (bits + 0x1000) & ~0x1fffu;
    std::memcpy(&x, &bits, 4);
    return x;
}

static void multiply_on_tensor_core(float sum[4], const float a[4], const float b[2]) {
    const unsigned lane = block->current % Block::LANES, warp = block->current / Block::LANES;
    float *const all = reinterpret_cast<float *>(&block->exchanged[warp * Block::LANES * 6]);
    Barrier &barrier = block->warps[warp];
    std::memcpy(all + 6 * lane, a, 4 * sizeof(float));
    std::memcpy(all + 6 * lane + 4, b, 2 * sizeof(float));
    block->wait(barrier, Block::LANES);
    for (int q = 0; q < 4; q++) {
        const int row = lane / 4 + q / 2 * 8, column = lane % 4 * 2 + q % 2;
        for (int k = 0; k < 8; k++)
            sum[q] += all[6 * (row % 8 * 4 + k % 4) + row / 8 + k / 4 * 2] * all[6 * (column * 4 + k % 4) + 4 + k / 4];
    }
    block->wait(barrier, Block::LANES);
}
