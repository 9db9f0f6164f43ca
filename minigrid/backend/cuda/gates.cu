// The LSTM update: one launch forward, one backward. The twin of nn/gates.py, with the same equations.
//
// A block of threads processes one row, which is one sequence at one step; each thread processes one hidden unit of the
// row. Pre-activations and their gradients are packed like the weights, in rows [i | f | o | g] of 4H numbers. Gates
// are (steps, 4, B, H); all other arrays are (steps, B, H). REAL is float or double.

typedef REAL real;

__device__ real sigmoid(real x) { return tanh(x / 2) / 2 + real(0.5); }

//  i = sigmoid(a_i)   f = sigmoid(a_f)   o = sigmoid(a_o)   g = tanh(a_g)
//  c = f * c_prev + i * g
//  h = o * s,  s = tanh(c)
//  h = s,      s = tanh(o * c)     (paper)
//
// `gate` points to i; f, o and g follow at distances of `next`.
__device__ void update(
    real a_i, real a_f, real a_o, real a_g, real c_prev, real *gate, long long next, real *c, real *s, real *h, int paper
) {
    const real i = sigmoid(a_i), f = sigmoid(a_f), o = sigmoid(a_o), g = tanh(a_g);
    const real cell = f * c_prev + i * g;
    const real inside = tanh(paper ? o * cell : cell);

    gate[0] = i;
    gate[next] = f;
    gate[2 * next] = o;
    gate[3 * next] = g;
    *c = cell;
    *s = inside;
    *h = paper ? inside : o * inside;
}

//  dh/dc = o * (1 - s^2)     dh/do = s     dh/do = (1 - s^2) * c (paper)
//  dc += dh * dh/dc
//  da_i = dc * g * i * (1 - i)           da_f = dc * c_prev * f * (1 - f)
//  da_o = dh * dh/do * o * (1 - o)       da_g = dc * i * (1 - g^2)
//  dc_prev = dc * f
//
// On entry, `dc` is the gradient that arrives at c from the next update; on return, it is the gradient of c_prev. `da`
// points to da_i; da_f, da_o and da_g follow at distances of H.
__device__ void update_backward(
    real dh, real *dc, const real *gate, long long next, real c_prev, real c, real s, real *da, int H, int paper
) {
    const real i = gate[0], f = gate[next], o = gate[2 * next], g = gate[3 * next];
    const real slope = 1 - s * s;
    const real dh_do = paper ? slope * c : s;
    const real dcell = *dc + dh * o * slope;

    da[0] = dcell * g * i * (1 - i);
    da[H] = dcell * c_prev * f * (1 - f);
    da[2 * H] = dh * dh_do * o * (1 - o);
    da[3 * H] = dcell * i * (1 - g * g);
    *dc = dcell * f;
}

// The hidden unit of a thread, and where its numbers are in the arrays.
struct Place {
    int unit;          // number of the unit in its row
    long long single;  // index into an array (steps, B, H)
    long long packed;  // index of i in rows of 4H
    long long gate;    // index of i in the gates (steps, 4, B, H)
};

__device__ Place place(int B, int H) {
    const int row = blockIdx.x, step = row / B, text = row % B;
    const int unit = blockIdx.y * blockDim.x + threadIdx.x;
    return {unit, (long long)row * H + unit, (long long)row * 4 * H + unit, ((long long)step * 4 * B + text) * H + unit};
}

//  a = a_x + a_h
extern "C" __global__ void lstm_forward(
    const real *a_x, const real *a_h, real *gates, const real *c_prev, real *c, real *s, real *h, int B, int H, int paper
) {
    const Place at = place(B, H);
    if (at.unit >= H) return;
    const real *x = a_x + at.packed, *y = a_h + at.packed;
    update(
        x[0] + y[0], x[H] + y[H], x[2 * H] + y[2 * H], x[3 * H] + y[3 * H], c_prev[at.single],
        gates + at.gate, (long long)B * H, c + at.single, s + at.single, h + at.single, paper
    );
}

extern "C" __global__ void lstm_backward(
    const real *dh, real *dc, const real *gates, const real *c_prev, const real *c, const real *s, real *da,
    int B, int H, int paper
) {
    const Place at = place(B, H);
    if (at.unit >= H) return;
    update_backward(
        dh[at.single], dc + at.single, gates + at.gate, (long long)B * H, c_prev[at.single], c[at.single], s[at.single],
        da + at.packed, H, paper
    );
}
