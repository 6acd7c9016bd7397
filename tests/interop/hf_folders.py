#!/usr/bin/env python3
"""Loads what merge-lora exports with transformers and torch, and compares logits with ours.

    hf_folders.py QUERN SHARED

QUERN is the program, SHARED the folder with models/. Needs torch, transformers and safetensors; no
build or test does. For every adapter of the index that has logits: the base is merged into a HF folder,
transformers loads it (config, generation config, tokenizer, every weight used) and runs it in float32
over the folder's bf16 weights; the same folder is converted to a f32 GGUF for `quern logits`. A llama is
exported as consolidated.00.pth as well, which torch.load reads with weights_only. Exits with 1 where
anything differs by more than 1e-2 or does not load.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

LIMIT = 1e-2


def quern(*words):
    done = subprocess.run([QUERN, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"quern {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def our_logits(model, ids, count):
    words = ["logits", "-m", model, "--tokens", ",".join(map(str, ids)), "--top", count, "--json"]
    return {entry["id"]: entry["logit"] for entry in json.loads(quern(*words))["top"]}


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    if getattr(config, "sliding_window", None):
        config.sliding_window = None  # GGUF's llama attends to all tokens
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float32, output_loading_info=True)
    wrong = {kind: names for kind, names in info.items() if names}
    if wrong:
        raise RuntimeError(f"transformers: {wrong}")
    return model.eval()


def check_folder(folder, ids, work):
    """The largest difference of any logit."""
    model = load(folder)
    transformers.GenerationConfig.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if len(tokenizer) > model.config.vocab_size:
        raise RuntimeError(f"{len(tokenizer)} tokens, a vocabulary of {model.config.vocab_size}")
    with torch.no_grad():
        theirs = model(torch.tensor([ids])).logits[0, -1]
    gguf = work / "model.gguf"
    quern("convert", folder, "--outtype", "f32", "--outfile", gguf, "--force", "-q")
    ours = our_logits(gguf, ids, len(theirs))
    return max(abs(theirs[token].item() - logit) for token, logit in ours.items())


def check_pth(base, adapter, work):
    """How many tensors torch loads."""
    out = work / "pth"
    quern("merge-lora", base, adapter, out, "--format", "pth", "-q")
    state = torch.load(out / "consolidated.00.pth", weights_only=True)
    params = json.loads((out / "params.json").read_text())
    if state["tok_embeddings.weight"].shape[1] != params["dim"]:
        raise RuntimeError("params.json and the weights differ")
    return len(state)


def main():
    models = SHARED / "models"
    index = json.loads((models / "adapters/index.json").read_text())
    cases = [(name, models / entry["base"], entry["logits"]["ids"])
             for name, entry in index.items() if "logits" in entry]
    cases += [("layers-to-transform", models / "bnb" / kind, index["layers-to-transform"]["logits"]["ids"])
              for kind in ("nf4", "nf4-nested", "fp4", "int8")]
    failed = 0
    for name, base, ids in cases:
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            line = f"{name:22} {base.parent.name + '/' + base.name:30}"
            try:
                quern("merge-lora", base, models / "adapters" / name, work / "merged", "-q")
                worst = check_folder(work / "merged", ids, work)
                line += f" logits within {worst:.1e}"
                failed += worst > LIMIT
                if base.name == "tiny-llama":
                    line += f", pth: {check_pth(base, models / 'adapters' / name, work)} tensors"
            except RuntimeError as error:
                line += f" FAILED: {error}"
                failed += 1
            print(line, flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    QUERN, SHARED = sys.argv[1], pathlib.Path(sys.argv[2])
    transformers.logging.set_verbosity_error()
    sys.exit(main())
