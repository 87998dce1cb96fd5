#!/usr/bin/env bash
# Whether the package ftfy happens to be installed changes what transformers' CLIPTokenizer makes of a prompt.
#
# Where ftfy can be imported, CLIPTokenizer mends the text with it first: typographic quotes become straight ones, the
# ligature fi two letters, &amp; an ampersand. Where it cannot, each of these stays, as several tokens that mean little.
# ftfy is an optional package that transformers neither requires nor warns about; other packages bring it along. The
# Rust CLIPTokenizerFast never uses it, so it agrees with the one CLIPTokenizer and not with the other.
#
# Why it matters: Stable Diffusion's folders name CLIPTokenizer, and people paste prompts from documents and phones. The
# same seed and prompt give another picture on a machine with ftfy, and a runtime with a tokenizer of its own (ONNX
# Runtime, OpenVINO) can only be equal to one of the two.
#
# Source: transformers issue 19118; the module's log line about ftfy, which is shown at level info alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
cd "$folder"
cat > program.py <<'EOF'
import json
import sys
from importlib.metadata import version

from transformers import CLIPTokenizer, CLIPTokenizerFast
from transformers.models.clip.tokenization_clip import bytes_to_unicode

PROMPTS = "a cosy room", "a \u201ccosy\u201d room", "it\u2019s warm", "a \ufb01replace", "salt &amp; pepper"
letters = list(bytes_to_unicode().values())
tokens = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
with open("vocab.json", "w", encoding="utf-8") as file:  # CLIP's vocabulary without its merges: a token a byte
    json.dump({token: number for number, token in enumerate(tokens)}, file)
with open("merges.txt", "w", encoding="utf-8") as file:
    file.write("#version: 0.2\n")
ids = {kind: [kind("vocab.json", "merges.txt")(prompt).input_ids for prompt in PROMPTS]
       for kind in (CLIPTokenizer, CLIPTokenizerFast)}
print(f"transformers {version('transformers')}, tokenizers {version('tokenizers')}, {sys.argv[1]} ftfy")
for prompt, *pair in zip(PROMPTS, *ids.values(), strict=True):
    print(f"  {ascii(prompt)}")
    print("    CLIPTokenizer    ", *pair[0])
    print("    CLIPTokenizerFast", *pair[1])
equal = [slow == fast for slow, fast in zip(*ids.values(), strict=True)]
recorded = [True] * 5 if sys.argv[1] == "without" else [True] + [False] * 4
sys.exit(0 if equal == recorded else "the behaviour has changed")
EOF
echo "expected: the ids of a prompt depend on the prompt and the tokenizer's files"
echo "seen: CLIPTokenizer gives other ids for all but the first prompt once ftfy is installed"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==4.57.6 tokenizers==0.22.2 huggingface_hub==0.36.2 numpy==2.4.6
export TRANSFORMERS_NO_ADVISORY_WARNINGS=1 PYTHONWARNINGS=ignore
"$folder/venv/bin/python" program.py without
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ftfy==6.3.1 wcwidth==0.9.4
"$folder/venv/bin/python" program.py with
