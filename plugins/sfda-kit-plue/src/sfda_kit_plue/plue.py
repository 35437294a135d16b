"""PLUE: pseudo-labels guided by uncertainty estimation.

Paper: Litrico, Del Bue, Morerio, "Guiding Pseudo-labels with Uncertainty Estimation for Source-free Unsupervised Domain
Adaptation", CVPR 2023, https://arxiv.org/abs/2303.03770

Section 3 (our notation), as the authors' code computes it. There are three views of each image i of the batch: a weak
one x and two strong ones x', x''. The adapting network, in training mode, answers x (features f_i, softmax s_i) and x'
(unit feature q_i, softmax p_i). The momentum model, with weights m theta_mom + (1 - m) theta and running statistics of
its own, answers x'' (unit feature k_i). C classes, B images a batch.

    label and weight:  v_i = mean softmax of the K entries of the bank nearest to f_i by cosine
                       y_i = argmax v_i,  w_i = exp(-H(v_i) / log C)
    L_cls    = - mean_i w_i log(clamp(1 - p_i,c_i, 1e-5, 1)),  c_i: a random class other than y_i  (negative learning)
    L_ctr    = - mean_i log( e^(q_i k_i / t) / (e^(q_i k_i / t) + sum_j e^(q_i z_j / t)) ),  z_j: entry j of the queue
    L_div(s) = sum_c s-_c log(s-_c + 1e-8),  s- = mean_i s_i
    L        = L_cls + L_ctr + L_div(s) + L_div(p)

The sum in L_ctr has those entries of the queue whose image differs from i in all T columns of the label history. So one
noisy label does not make a negative pair of two images of one class.

Bank, queue and history: at most 16384 entries, and at most one for each image. A step writes (f_i, s_i) to the next B
places of the bank, k_i to the next B places of the queue, and y_i to the present column of the history; after the last
place comes the first. After each write the present column becomes that of the epoch, modulo T, so the first batch of
an epoch still writes to the column before. Each epoch begins with a new bank: answers in evaluation mode, in random
order. Queue and history begin random.

K = 10, T = 5, t = 0.07, all weights 1, m = 0.999; the classifier trains, too. Deviations stand in the declaration.
"""

from __future__ import annotations

from sfda_kit import Recipe

PLUE = Recipe.model_validate(
    {
        "summary": "negative learning on neighbours' labels weighted by certainty, contrast without false negatives",
        "paper": "https://arxiv.org/abs/2303.03770",
        "aligners": {"guided-labels": 1.0},
        "train": "backbone+bottleneck+classifier",
    }
)
