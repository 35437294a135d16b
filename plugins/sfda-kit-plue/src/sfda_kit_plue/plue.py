"""PLUE: pseudo-labels guided by uncertainty estimation.

Paper: Litrico, Del Bue, Morerio, "Guiding Pseudo-labels with Uncertainty Estimation for Source-free Unsupervised Domain
Adaptation", CVPR 2023, https://arxiv.org/abs/2303.03770

Section 3 (our notation). There are three views of each image i of the batch: a weak one x, two strong ones x', x''. A
momentum model with weights m theta_mom + (1 - m) theta answers x and x''. Its unit features z and softmax of all weak
views are the bank, each as old as the last batch with its image. p_i: softmax of the adapting network on x'_i, q_i: its
unit feature, k_i: the momentum model's on x''_i, N(i): the K images nearest to z_i by cosine, C classes.

    label and weight:  p^_i = mean of the bank's softmax over N(i),  y_i = argmax p^_i,  w_i = exp(-H(p^_i) / log C)
    L_cls = - mean_i w_i log(1 - p_i,c_i),  c_i: a class other than y_i, drawn at random        (negative learning)
    L_ctr = - mean_i log( e^(q_i k_i / t) / (e^(q_i k_i / t) + sum_j e^(q_i z_j / t)) ),  over j that differ from i
    L_div = sum_c p-_c log p-_c,  p- = mean_i p_i
    L     = L_cls + L_ctr + L_div

j differs from i when their labels y were not the same in any of the last T epochs. So one noisy label does not make a
negative pair of two images of one class.

Defaults: K = 10, T = 5, t = 0.07, all three weights 1, m = 0.99. All are [ours: the paper's values are not known to
us]. An m of 0.999, usual in momentum contrast, would leave the momentum model close to the source model for the few
hundred steps that small target sets take.

Deviations: the classifier is frozen, as in every phase here. The bank's own features are the negatives, one of each
image, where the paper has a queue. Where there are more than ``bank`` (16384) images, this number is drawn in each
step, as neighbours and negatives. An image is kept out of its own neighbours. Strong views are crops of 50 to 100 % of
the area and flips, because jitter of colours has no meaning for depth. Running statistics follow the weak views alone.
Before the first epoch, bank and labels are the source model's. The optimiser is the run's.
"""

from __future__ import annotations

from sfda_kit import Recipe

PLUE = Recipe.model_validate(
    {
        "summary": "negative learning on neighbours' labels weighted by certainty, contrast without false negatives",
        "paper": "https://arxiv.org/abs/2303.03770",
        "aligners": {"guided-labels": 1.0},
    }
)
