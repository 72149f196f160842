"""Files of prompts and scripts as people write them."""

from pathlib import Path

import pytest

from videolm.generation.generate_files import generate_files
from videolm.generation.long_video.script import Line, read_script
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt_file import read_prompts
from videolm.generation.run_request import PromptOptions, Request

RIGHT, LEFT = "a red square moves right", "a blue circle moves left"
MARK = "\ufeff"


def prompts_of(path: Path, content: str | bytes) -> list[tuple]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(each.name, each.options.text, each.seed) for each in read_prompts(path, PromptOptions())]


PLAIN = [("000", RIGHT, None), ("001", LEFT, None)]
SEEDED = [("000", RIGHT, 1), ("001", LEFT, 2)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("p.txt", f"{MARK}{RIGHT}\n{LEFT}", PLAIN),
        ("p.txt", f"{RIGHT}\r\n\r\n  {LEFT} \r\n", PLAIN),
        ("p.txt", f"{RIGHT}\r{LEFT}\r", PLAIN),
        ("p.txt", f"{RIGHT}\n{LEFT}".encode("utf-16"), PLAIN),
        ("p.txt", f"{RIGHT}\u2028and up\n{LEFT}", [("000", f"{RIGHT}\u2028and up", None), PLAIN[1]]),
        ("p.jsonl", f'{MARK}{{"text": "{RIGHT}"}}\n{{"text": "{LEFT}"}}', PLAIN),
        ("p.jsonl", f'{{"prompt": "{RIGHT}", "seed": 1}}\n{{"caption": "{LEFT}", "seed": 2}}', SEEDED),
        ("p.json", f'[{{"text": "{RIGHT}"}}, "{LEFT}"]', PLAIN),
        ("p.json", f'[\n {{"prompt": "{RIGHT}",\n "seed": 1}},\n {{"text": "{LEFT}", "seed": 2}}]', SEEDED),
        ("p.csv", f"{MARK}prompt,seed\n{RIGHT},1\n{LEFT},2\n", SEEDED),
        ("p.csv", f"Seed , Text\n1,{RIGHT}\n2,{LEFT}", SEEDED),
        ("p.csv", f"text;seed\n{RIGHT};1\n{LEFT};2", SEEDED),
        ("p.csv", f'text,seed\n"a red square\nmoves right",1\n\n{LEFT},2', SEEDED),
        ("p.csv", 'name,text\n"a","up, slowly"', [("a", "up, slowly", None)]),
        ("p.csv", f"text,seed\n{RIGHT},\n{LEFT},", PLAIN),
        ("p.tsv", f"text\tseed\n{RIGHT}\t1\n{LEFT}\t2", SEEDED),
    ],
)  # fmt: skip
def test_prompts_are_read_however_they_are_written(tmp_path, name, content, expected):
    assert prompts_of(tmp_path / name, content) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", f"# mine\n\n{RIGHT}\n  # more\n{LEFT}"),
        ("p.jsonl", f'# mine\n{{"text": "{RIGHT}"}}\n# more\n{{"text": "{LEFT}"}}'),
        ("p.csv", f"# mine\ntext\n{RIGHT}\n# more\n{LEFT}"),
    ],
)
def test_lines_that_begin_with_a_hash_are_left_out_and_counted(tmp_path, name, content):
    with pytest.warns(UserWarning, match=rf"{name}: 2 lines that begin with # are left out"):
        assert prompts_of(tmp_path / name, content) == PLAIN


def test_columns_of_a_table_are_those_of_the_objects_and_others_are_named(tmp_path):
    with pytest.warns(UserWarning, match=r"p.csv: the columns id, Style are left out"):
        content = (
            "id,text,Negative Prompt,image,mask,aspect,seconds,Style\n7,a star,a box,i.png,box,1:1,1.5,oil\n"
        )
        (tmp_path / "p.csv").write_text(content)
        (named,) = read_prompts(tmp_path / "p.csv", PromptOptions())
    assert named.options == PromptOptions(
        text="a star", negative="a box", image=tmp_path / "i.png", mask="box", aspect="1:1", seconds=1.5
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", '{"text": "a"}\n\n{"text": "b"', r"p.jsonl:3 is not valid JSON"),
        ("p.jsonl", '{"text": "a"}\n{"text": "b", "sed": 1}', r"p.jsonl:2 says sed, text; expected"),
        ("p.jsonl", '{"text": "a", "seed": 1.5}', r"p.jsonl:1 has seed 1.5; expected a whole number"),
        ("p.jsonl", '{"text": "a", "seed": true}', r"p.jsonl:1 has seed True; expected a whole number"),
        ("p.jsonl", '{"text": "a", "prompt": "b"}', r"p.jsonl:1 says the same twice"),
        ("p.jsonl", '{"text": "a", "seed": 99999999999999999999}', r"p.jsonl:1: the seed is 9{20}; expected"),
        ("p.json", '["a", 3]', r"p.json, entry 2 says 3; expected an object"),
        ("p.csv", "text,seed\na,one\n", r"p.csv:2 has seed 'one'; expected a whole number"),
        ("p.csv", "text,seconds\na,1\nb,long\n", r"p.csv:3 has seconds 'long'; expected a number"),
        ("p.csv", "text,seed\na\n", r"p.csv:2 has 1 cells; the first line names 2"),
        ("p.csv", "a red star\na blue star\n", r"p.csv has the columns a red star; expected some of"),
        ("p.csv", "text,prompt\na,b\n", r"p.csv says the same twice"),
        ("p.csv", 'text\n"a" b\n', r"p.csv:2 is no row of a table"),
        ("p.csv", "text\n", r"p.csv holds no prompts"),
        ("p.txt", "# a\n", r"p.txt holds no prompts"),
        ("p.txt", b"a star\n\xff\xe9\n", r"p.txt:2 is not UTF-8 text"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_mistake_is_one_line_that_names_its_place(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as refused:
        prompts_of(tmp_path / name, content)
    assert "\n" not in str(refused.value)


def test_scripts_are_read_alike(tmp_path):
    (tmp_path / "s.txt").write_text(f"{MARK}# act one\na red ball\n\n a blue star \n")
    with pytest.warns(UserWarning, match="1 line that begins with # is left out"):
        assert read_script(tmp_path / "s.txt") == [Line("a red ball"), Line("a blue star")]
    (tmp_path / "s.csv").write_text("Seconds,prompt\n2.5,a red ball\n,a blue star\n")
    assert read_script(tmp_path / "s.csv") == [Line("a red ball", 2.5), Line("a blue star")]
    (tmp_path / "s.csv").write_text("seconds,text\nlong,a red ball\n")
    with pytest.raises(ValueError, match=r"s.csv:2 has seconds 'long'; expected a number"):
        read_script(tmp_path / "s.csv")


def test_a_prompt_with_a_seed_of_its_own_has_the_clip_of_that_seed(model_folder, tmp_path, capsys):
    (tmp_path / "p.csv").write_text(f"prompt,seed\n{RIGHT},41\n{LEFT},\n# {RIGHT},3\n")
    (tmp_path / "out").mkdir()
    request = Request(model_folder, "text_to_video", seed=5)
    made = generate_files(request, tmp_path / "out", tmp_path / "p.csv")
    assert "note: " in capsys.readouterr().out
    model = VideoLM.from_pretrained(model_folder)
    (tmp_path / "q.jsonl").write_text(f'{{"text": "{RIGHT}"}}\n{{"text": "{LEFT}"}}\n')
    for number, (text, seed) in enumerate(((RIGHT, 41), (LEFT, 6))):
        alone = tmp_path / f"{number}.mp4"
        model.generate("text_to_video", text=text, seed=seed).save(alone)
        assert alone.read_bytes() == made[number].read_bytes()


def test_the_prompt_that_a_task_cannot_use_is_named(model_folder, tmp_path):
    (tmp_path / "p.csv").write_text(f"name,text\none,{RIGHT}\ntwo,\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="prompt two: task text_to_video takes a text; text is missing"):
        generate_files(Request(model_folder, "text_to_video"), tmp_path / "out", tmp_path / "p.csv")
