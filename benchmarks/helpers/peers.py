"""The same models in PyTorch, as an expert would write them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

State = list[tuple[Tensor, Tensor]]


class Peer(nn.Module):
    """Embedding, layers, decoder; ``forward(x, state)`` returns logits (T, B, V) and the final state."""

    def __init__(self, vocab_size: int, hidden: int, layers: int):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.embedding = nn.Embedding(vocab_size, hidden)
        self.decoder = nn.Linear(hidden, vocab_size)

    def initial_state(self, batch: int) -> State:
        """Return zeros, a pair (h, c) for each layer."""
        zeros = self.decoder.weight.new_zeros(batch, self.hidden)
        return [(zeros, zeros) for _ in range(self.layers)]


class StackedLSTM(Peer):
    """``nn.LSTM`` with a decoder."""

    def __init__(self, vocab_size: int, hidden: int, layers: int):
        super().__init__(vocab_size, hidden, layers)
        self.rnn = nn.LSTM(hidden, hidden, layers)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = (torch.stack(part) for part in zip(*state, strict=True))
        out, (h, c) = self.rnn(self.embedding(x), (h, c))
        return self.decoder(out), list(zip(h, c, strict=True))


def lstm_update(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return h and c from packed pre-activations and the previous memory cell."""
    i, f, o, g = a.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


class ExpertGrid(Peer):
    """A grid, layer by layer: ``nn.LSTM`` along time, then the LSTM along depth for all steps at once."""

    def __init__(self, vocab_size: int, hidden: int, layers: int):
        super().__init__(vocab_size, hidden, layers)
        self.time = nn.ModuleList(nn.LSTM(hidden, hidden) for _ in range(layers))
        self.depth = nn.Linear(2 * hidden, 4 * hidden)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h_depth = self.embedding(x)
        c_depth = torch.zeros_like(h_depth)
        new_state = []
        for time, (h, c) in zip(self.time, state, strict=True):
            h_time, (h, c) = time(h_depth, (h[None], c[None]))
            new_state.append((h[0], c[0]))
            h_depth, c_depth = self.up(h_time, h_depth, c_depth)
        return self.decoder(h_depth), new_state

    def up(self, h_time: Tensor, h_depth: Tensor, c_depth: Tensor) -> tuple[Tensor, Tensor]:
        """Return h and c of one layer along depth.

        It is a method of its own for torch.compile, which skips the loop because that calls ``nn.LSTM``.
        """
        return lstm_update(self.depth(torch.cat((h_time, h_depth), dim=-1)), c_depth)


class CellGrid(Peer):
    """A grid block by block, as in the equations."""

    def __init__(self, vocab_size: int, hidden: int, layers: int):
        super().__init__(vocab_size, hidden, layers)
        self.time = nn.ModuleList(nn.Linear(2 * hidden, 4 * hidden) for _ in range(layers))
        self.depth = nn.Linear(2 * hidden, 4 * hidden)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        state, out = list(state), []
        for h_depth in self.embedding(x):
            c_depth = torch.zeros_like(h_depth)
            for layer, time in enumerate(self.time):
                h, c = state[layer]
                h, c = state[layer] = lstm_update(time(torch.cat((h, h_depth), dim=-1)), c)
                h_depth, c_depth = lstm_update(self.depth(torch.cat((h, h_depth), dim=-1)), c_depth)
            out.append(h_depth)
        return self.decoder(torch.stack(out)), state


class PeerTrainStep:
    """Forward, backward, element-wise clipping and RMSprop, with the state carried over, as in minigrid's TrainStep.

    Parameters
    ----------
    model : nn.Module
        The peer, or what torch.compile made of it.
    peer : Peer
        The peer itself.
    **optimizer
        Options of PyTorch's RMSprop, such as ``foreach=True``.
    """

    def __init__(self, model: nn.Module, peer: Peer, **optimizer: bool):
        self.model, self.peer = model, peer
        self.optimizer = torch.optim.RMSprop(peer.parameters(), lr=2e-3, alpha=0.95, eps=1e-8, **optimizer)
        self.state: State | None = None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        logits, state = self.model(x, self.state or self.peer.initial_state(x.shape[1]))
        self.state = [(h.detach(), c.detach()) for h, c in state]
        loss = cross_entropy(logits.flatten(0, 1), y.flatten()) * len(x)
        loss.backward()
        nn.utils.clip_grad_value_(self.peer.parameters(), 5.0)
        self.optimizer.step()
        return loss.detach()


class CellSampler:
    """Samples one character at a time with LSTM cells, the fastest way for a batch of one."""

    def __init__(self, peer: Peer):
        self.peer = peer
        self.cells = [nn.LSTMCell(peer.hidden, peer.hidden) for _ in range(peer.layers)]

    @torch.inference_mode()
    def write(self, length: int) -> None:
        """Sample `length` characters."""
        state = self.peer.initial_state(1)
        symbol = torch.zeros(1, dtype=torch.long)
        for _ in range(length):
            scores = self.peer.decoder(self.up_the_layers(self.peer.embedding(symbol), state))[0]
            symbol = torch.multinomial(torch.softmax(scores, dim=-1), 1)

    def up_the_layers(self, x: Tensor, state: State) -> Tensor:
        """Return the output of the top layer after one step of the stacked LSTM; `state` is updated in place."""
        for layer, cell in enumerate(self.cells):
            state[layer] = cell(x, state[layer])
            x = state[layer][0]
        return x


class GridSampler(CellSampler):
    """The same for the grid: LSTM cells along time, and the update along depth."""

    def up_the_layers(self, x: Tensor, state: State) -> Tensor:
        c_depth = torch.zeros_like(x)
        for layer, cell in enumerate(self.cells):
            state[layer] = cell(x, state[layer])
            x, c_depth = lstm_update(self.peer.depth(torch.cat((state[layer][0], x), dim=-1)), c_depth)
        return x
