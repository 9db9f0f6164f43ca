from run_fixtures import call, done


def test_the_tolerance_decides(capsys):
    arguments = ["gradcheck", "--model=rnn", "--hidden=2", "--layers=1"]
    assert "passed: " in done(capsys, *arguments)
    found = call(capsys, *arguments, "--tolerance=1e-30")
    assert found.code == 1
    assert "FAILED: " in found.out
