// The LSTM update in one launch forward and one backward: the twin of gates.py, equation for equation.
//
// A block of threads works on one row, one text at one step; each thread on one unit of it. Pre-activations, and their
// gradients, are packed as the weights are: rows [i | f | o | g] of 4H numbers. Gates are (steps, 4, B, H), a block for
// each gate; everything else is (steps, B, H). REAL is float or double.

typedef REAL real;

struct Place {
    int unit;          // in its row
    long long single;  // in an array (steps, B, H)
    long long packed;  // in rows of 4H, of i; f, o and g follow H apart
    long long gate;    // in the gates, of i; f, o and g follow B * H apart
};

__device__ Place place(int B, int H) {
    const int row = blockIdx.x, step = row / B, text = row % B;
    const int unit = blockIdx.y * blockDim.x + threadIdx.x;
    return {unit, (long long)row * H + unit, (long long)row * 4 * H + unit, ((long long)step * 4 * B + text) * H + unit};
}

__device__ real sigmoid(real x) { return tanh(x / 2) / 2 + real(0.5); }

//  i = sigmoid(a_i)   f = sigmoid(a_f)   o = sigmoid(a_o)   g = tanh(a_g)     a = a_x + a_h
//  c = f * c_prev + i * g
//  h = o * s,  s = tanh(c)
//  h = s,      s = tanh(o * c)     (paper)
extern "C" __global__ void lstm_forward(
    const real *a_x, const real *a_h, real *gates, const real *c_prev, real *c, real *s, real *h, int B, int H, int paper
) {
    const Place at = place(B, H);
    if (at.unit >= H) return;
    const real *x = a_x + at.packed, *y = a_h + at.packed;

    const real i = sigmoid(x[0] + y[0]);
    const real f = sigmoid(x[H] + y[H]);
    const real o = sigmoid(x[2 * H] + y[2 * H]);
    const real g = tanh(x[3 * H] + y[3 * H]);
    const real cell = f * c_prev[at.single] + i * g;
    const real inside = tanh(paper ? o * cell : cell);

    real *gate = gates + at.gate;
    const long long next = (long long)B * H;
    gate[0] = i;
    gate[next] = f;
    gate[2 * next] = o;
    gate[3 * next] = g;
    c[at.single] = cell;
    s[at.single] = inside;
    h[at.single] = paper ? inside : o * inside;
}

//  dh/dc = o * (1 - s^2)     dh/do = s     dh/do = (1 - s^2) * c (paper)
//  dc += dh * dh/dc
//  da_i = dc * g * i * (1 - i)           da_f = dc * c_prev * f * (1 - f)
//  da_o = dh * dh/do * o * (1 - o)       da_g = dc * i * (1 - g^2)
//  dc_prev = dc * f
extern "C" __global__ void lstm_backward(
    const real *dh, real *dc, const real *gates, const real *c_prev, const real *c, const real *s, real *da,
    int B, int H, int paper
) {
    const Place at = place(B, H);
    if (at.unit >= H) return;
    const real *gate = gates + at.gate;
    const long long next = (long long)B * H;
    const real i = gate[0], f = gate[next], o = gate[2 * next], g = gate[3 * next];
    const real inside = s[at.single], slope = 1 - inside * inside;

    const real dh_do = paper ? slope * c[at.single] : inside;
    const real dhidden = dh[at.single];
    const real dcell = dc[at.single] + dhidden * o * slope;

    real *d = da + at.packed;
    d[0] = dcell * g * i * (1 - i);
    d[H] = dcell * c_prev[at.single] * f * (1 - f);
    d[2 * H] = dhidden * dh_do * o * (1 - o);
    d[3 * H] = dcell * i * (1 - g * g);
    dc[at.single] = dcell * f;
}
