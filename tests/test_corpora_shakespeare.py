from minigrid.data.corpora.shakespeare import play_text

# ~ stands for the two blanks by which Markdown breaks a line.
PLAY = r"""# A Play

## ACT I

### SCENE I. A tower: two clowns, and a
candle.

_Enter FIRST and SECOND Clown, with
others_

**First Clown**~
_\[Aside]_~
My sea sha$l speak,\--~
And ever _\[ ]_~

_A bell, and two
clowns, & c_

It tolls _\[again,]_ here.

**SECOND CLOWN**~
_Exit_

SONG.

EPILOGUE

Lord Chief-Justice What "noise"?
BISHOP

**OF ELY**~
*[Reads.]*~
Love—and & c.

### SCENE II. The same;

a light burning.

*Exeunt.*
"""

SPEECHES = """\
First Clown:
My sea shall speak,--
And ever
It tolls again, here.

Lord Chief-Justice:
What 'noise'?

BISHOP OF ELY:
Love--and &c.
"""


def test_a_play_becomes_speeches():
    assert play_text(PLAY.replace("~", "  ")) == SPEECHES
