"""An option that cannot be is refused in one line, before anything is built: its key, and what it must be."""

from __future__ import annotations

import pytest

from dlkit.cli.preflight import check
from dlkit.settings import config_folder

# (what is typed, what the line begins with, what it says)
REFUSED = [
    # optimisers and their groups
    ("optim.layer_decay=0", "optim.layer_decay=0", "must be greater than 0 and at most 1"),
    ("optim.layer_decay=1.1", "optim.layer_decay=1.1", "must be"),
    ("optim.decay_all=1", "optim.decay_all=1", "must be true or false"),
    ("optim.lr_scale=0.1", "optim.lr_scale=0.1", "must be a mapping"),
    ("optim=rmsprop optim.alpha=1", "optim.alpha=1", "must be at least 0 and less than 1"),
    ("optim=adagrad optim.eps=0", "optim.eps=0", "must be greater than 0"),
    ("optim=gd optim.lr=-1", "optim.lr=-1", "must be greater than 0"),
    ("optim=muon optim.adjust_lr_fn=orginal", "optim.adjust_lr_fn=orginal", "did you mean original?"),
    # schedules
    ("scheduler=exponential scheduler.alpha=1.01", "scheduler.alpha=1.01", "must be greater than 0 and at most 1"),
    ("scheduler=factor scheduler.alpha=0", "scheduler.alpha=0", "must be greater than 0 and at most 1"),
    ("scheduler=factor scheduler.floor=-1", "scheduler.floor=-1", "must be between 0 and 1"),
    ("scheduler=polynomial scheduler.beta=-1", "scheduler.beta=-1", "must be at least 0"),
    ("scheduler=step scheduler.milestones=[0]", "scheduler.milestones[0]=0", "must be greater than 0"),
    ("scheduler=step scheduler.gamma=10", "scheduler.gamma=10", "must be between 0 and 1"),
    ("scheduler=one_cycle scheduler.rise=1", "scheduler.rise=1", "must be greater than 0 and less than 1"),
    ("scheduler=wsd scheduler.shape=lin", "scheduler.shape=lin", "must be one of linear, cosine, sqrt"),
    ("scheduler.warmup=liner", "scheduler.warmup=liner", "did you mean linear?"),
    ("scheduler.warmup_factor=0", "scheduler.warmup_factor=0", "must be greater than 0"),
    ("scheduler.unit=epochs", "scheduler.unit=epochs", "did you mean epoch?"),
    # inits
    ("init=normal init.std=0", "init.std=0", "must be greater than 0"),
    ("init=uniform init.a=-1", "init.a=-1", "must be greater than 0"),
    ("init=xavier init.gain=atuo", "init.gain=atuo", "did you mean auto?"),
    ("init=kaiming init.gain=0", "init.gain=0", "must be"),
    ("init=lecun init.distribution=gauss", "init.distribution=gauss", "must be one of uniform, normal"),
    ("init.forget_bias=one", "init.forget_bias=one", "must be a number or null"),
    # regularisers
    ("regularizer=l1 regularizer.gamma=-1", "regularizer.gamma=-1", "at least 0"),
    ("regularizer=l1_ball regularizer.tau=0", "regularizer.tau=0", "greater than 0"),
    ("regularizer=max_norm regularizer.bound=-1", "regularizer.bound=-1", "greater than 0"),
    ("regularizer=elastic_net regularizer.l2=-1", "regularizer.l2=-1", "at least 0"),
    ("regularizer=sum regularizer.l1_bal=1", "regularizer.l1_bal", "did you mean regularizer.l1_ball?"),
    ("regularizer=sum regularizer.max_norm=0", "regularizer.max_norm=0", "greater than 0"),
    ("regularizer=sum regularizer.others=[{_target_:dlkit.regularizers.l3}]", "regularizer.others.0", "has no l3"),
    # losses
    ("loss=focal loss.gamma=-1", "loss.gamma=-1", "at least 0"),
    ("loss=huber loss.delta=0", "loss.delta=0", "greater than 0"),
    ("loss=bce loss.link=logit", "loss.link=logit", "one of logistic, probit"),
    ("loss=cross_entropy loss.label_smoothing=1.5", "loss.label_smoothing=1.5", "between 0 and 1"),
    ("loss=cross_entropy loss.class_weights=balance", "loss.class_weights=balance", "did you mean balanced?"),
    ("loss=cross_entropy loss.class_weights=[1,-2]", "loss.class_weights[1]=-2", "at least 0"),
    ("loss=hinge loss.gamma=1", "loss.gamma", "no such option"),
    # callbacks
    ("callbacks.stop.grad_norm=0", "callbacks.stop.grad_norm=0", "must be greater than 0"),
    ("callbacks.stop.weight_change=-1", "callbacks.stop.weight_change=-1", "must be greater than 0"),
    ("callbacks.stop.target=low", "callbacks.stop.target=low", "must be a number or null"),
    ("callbacks.plateau.factor=1", "callbacks.plateau.factor=1", "must be greater than 0 and less than 1"),
    ("callbacks.plateau.patience=0", "callbacks.plateau.patience=0", "must be at least 1"),
    ("callbacks.output_std=true", "callbacks.output_std=true", "callbacks.output_std.enabled"),
    # final
    ("final.weigths=best", "final.weigths", "no such option; did you mean final.weights?"),
    (
        "final.weights=bst",
        "final.weights=bst",
        "must be one of last, best, average_last, average_best; did you mean best?",
    ),
    ("final.average=1", "final.average=1", "must be at least 2"),
    ("final.shift=-1", "final.shift=-1", "must be at least 0"),
    ("final.mirror=3", "final.mirror=3", "must be true or false"),
    ("final=best", "final=best", "is a group of options; its options are final.weights"),
    ("finl.weights=best", "finl", "did you mean final.weights?"),
    ("-m final.weights=best,worst", "final.weights=worst", "must be one of"),
]


@pytest.mark.parametrize(("command", "key", "advice"), REFUSED, ids=[command for command, _, _ in REFUSED])
def test_an_option_that_cannot_be_is_refused_in_one_line(command: str, key: str, advice: str) -> None:
    (line,) = check(command.split(), config_folder()).mistakes
    assert line.startswith(key)
    assert advice in line
