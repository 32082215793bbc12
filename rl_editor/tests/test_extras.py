from rl_editor import extras


def test_a_checkout_is_installed_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "_CHECKOUT", tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    assert extras.install_hint("codecs") == f'pip install ".[codecs]" in {tmp_path}'


def test_an_installed_package_names_both_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "_CHECKOUT", tmp_path)
    assert extras.install_hint("train") == (
        'pip install "rl_editor[train]" or, in a clone of its repository, pip install ".[train]"'
    )
