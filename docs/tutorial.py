# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Adapt your own network to a depth sensor
#
# You have a network that was trained on RGB images, here torchvision's `resnet18`. A depth sensor gives you 300 images
# without labels, and 200 pairs of *other* objects that both sensors saw. This notebook adapts the network, looks at the
# result, and exports it. It takes some minutes on two CPU cores.
#
# The images are those of `rooms`, the **synthetic** benchmark of sfda-kit. Everything here works the same way with your
# own tensors, arrays, torch data sets or folders.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch
import torchvision

import sfda_kit

SMALL = bool(os.environ.get("TUTORIAL_SMALL"))  # a quick try of every line, with numbers that mean nothing
SIDE, TARGETS, PAIRS = (32, 40, 20) if SMALL else (64, 300, 200)
torch.manual_seed(0);

# %% [markdown]
# ## What you have
# `rgb` and `labels` are the source data. You would not have them any more; here they make the source model.

# %%
rooms = sfda_kit.build_part("dataset", "rooms", config=sfda_kit.DatasetConfig(options={"scenes": 0.1} if SMALL else {}))
index, split = rooms.index(), next(iter(rooms.splits().values()))
here = index.domain == index.domains.index("kv1")
relevant = np.flatnonzero(here & np.isin(index.label, [index.classes.index(name) for name in split.tr_classes]))
others = np.flatnonzero(here & np.isin(index.label, [index.classes.index(name) for name in split.ti_classes]))
shuffled = np.random.default_rng(0).permutation(relevant)
source, target = shuffled[TARGETS:], shuffled[:TARGETS]
pairs = np.random.default_rng(1).permutation(others)[:PAIRS]

classes = split.tr_classes
rgb = torch.from_numpy(rooms.read(source, "rgb", SIDE)).movedim(-1, 1) / 255  # (N, 3, SIDE, SIDE) in [0, 1]
labels = torch.tensor([classes.index(index.classes[code]) for code in index.label[source]])
depth = rooms.read(target, "depth", SIDE)  # (300, SIDE, SIDE), millimetres, 0 where nothing was measured
ti_rgb, ti_depth = rooms.read(pairs, "rgb", SIDE), rooms.read(pairs, "depth", SIDE)
print(len(rgb), "source images,", len(depth), "target images,", len(ti_depth), "pairs;", len(classes), "classes")

# %%
figure, axes = plt.subplots(2, 6, figsize=(9, 3.2), layout="constrained")
for column in range(6):
    axes[0, column].imshow(ti_rgb[column])
    axes[1, column].imshow(ti_depth[column], cmap="viridis")
for axis in axes.flat:
    axis.axis("off")
figure.suptitle("TI pairs: what the RGB camera and the depth sensor saw of other objects");

# %% [markdown]
# ## The source model
# Any `torch.nn.Module` that ends with a linear layer will do. This one was trained on RGB images in [0, 1], normalised with
# the mean and the standard deviation of ImageNet.

# %%
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
normalise = torchvision.transforms.Normalize(MEAN, STD)
model = torchvision.models.resnet18(num_classes=len(classes))
epochs, batch = (1, 32) if SMALL else (12, 32)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * (len(rgb) // batch))
for epoch in range(epochs):
    for rows in torch.randperm(len(rgb))[: len(rgb) // batch * batch].split(batch):
        images = normalise(rgb[rows])
        if torch.rand(()) < 0.5:
            images = images.flip(3)
        loss = torch.nn.functional.cross_entropy(model(images), labels[rows], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
print(f"last loss {loss.item():.2f}")

# %% [markdown]
# ## Adapt it
# No label is handed over. Without `method=`, the recommended method is taken: it first trains a bridge from depth to RGB on
# the pairs. Some of its terms compare feature maps, so it has to know a layer that returns maps: `layer1`.

# %%
adapted = sfda_kit.adapt(
    model,
    depth,
    (ti_rgb, ti_depth),
    classes=classes,
    mean=MEAN,
    std=STD,
    feature_maps="layer1",
    epochs=1 if SMALL else 8,
    bridge_epochs=1 if SMALL else 12,
    seed=0,
)
print(adapted.record.method, adapted.folder.name.split("-s0-")[0])

# %% [markdown]
# ## Look at it without labels
# Higher validator scores are better. An alarm would stand in `adapted.alarms`.

# %%
print(adapted.alarms or "no alarm")
adapted.report.round(3)

# %%
predictions = adapted.predict(depth)
figure, axes = plt.subplots(2, 6, figsize=(9, 3.4), layout="constrained")
for image, row, axis in zip(depth, predictions.itertuples(), axes.flat, strict=False):
    axis.imshow(image, cmap="viridis")
    axis.set_title(f"{row[2]}, {row.probability:.0%}", fontsize=9)
    axis.axis("off")

# %% [markdown]
# ## Was it worth it?
# On `rooms` the labels of the target images are known, so here, and only here, the accuracy can be measured.

# %%
truth = np.array([index.classes[code] for code in index.label[target]])
stored = sfda_kit.load_run(adapted.folder).predictions.sort_values("name")
before, after = (100 * (stored[column].to_numpy() == truth).mean() for column in ("source_only_prediction", "prediction"))
print(f"source model {before:.1f} %, adapted {after:.1f} % of {len(truth)} target images (synthetic)")

# %% [markdown]
# ## Use it
# `adapted.model` is a torch module. `save` keeps weights and card; `sfda-kit export` writes ONNX.

# %%
folder = adapted.save(adapted.folder / "delivery")
print(sorted(path.name for path in folder.iterdir()))
again, card = sfda_kit.load_model(folder, module=model)
print(card.source.classes[:3], type(adapted.model).__name__, sum(p.numel() for p in adapted.model.parameters()))
