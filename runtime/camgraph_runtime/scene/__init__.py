"""Scenes that are larger than what a network sees at once: explained window by window, and put together as one map."""

from camgraph_runtime.scene.explainer import SceneExplainer

__all__ = ["SceneExplainer"]
