"""Trains the model from nothing, in one command; every stage resumes where it stopped.

    python train.py WORK_FOLDER [--threads N]

data (172k rendered scenes, 15 GB) -> vocabulary -> vision encoder -> alignment of the decoder -> GGUF pair and curves. All together
(--joint-steps) is off: at the rates tried it wore the encoder out. The stages share their batches over several processes when
torchrun starts them; two of one thread do more on two cores than one of two:

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 vision.py WORK_FOLDER/data WORK_FOLDER/run 4720
    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 decoder.py WORK_FOLDER/data WORK_FOLDER/run alignment 4300
"""

import argparse
import os

import torch

import curves
import data
import decoder
import export
import vision
import vocabulary

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--threads", type=int, default=1, help="of PyTorch; on small models one thread a process is the most efficient")
parser.add_argument("--shards", type=int, default=42, help=f"of {data.SHARD} training scenes")
parser.add_argument("--vision-steps", type=int, default=4720)
parser.add_argument("--alignment-steps", type=int, default=4300)
parser.add_argument("--joint-steps", type=int, default=0)
options = parser.parse_args()

torch.set_num_threads(options.threads)
scenes_folder, run = os.path.join(options.folder, "data"), os.path.join(options.folder, "run")
os.makedirs(run, exist_ok=True)
data.render(scenes_folder, "validation", 1)
data.render(scenes_folder, "train", options.shards)
if not os.path.exists(os.path.join(run, "vocabulary.model")):
    vocabulary.train(os.path.join(run, "vocabulary"))  # of these very words; the shipped one lies beside this script
vision.train(scenes_folder, run, options.vision_steps)
decoder.train(scenes_folder, run, "alignment", options.alignment_steps)
if options.joint_steps:
    decoder.train(scenes_folder, run, "joint", options.joint_steps)
export.write(run, os.path.join(options.folder, "export"))
curves.draw(os.path.join(run, "log.jsonl"), os.path.join(options.folder, "export", "curves.png"))
