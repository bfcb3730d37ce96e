"""The matching of parameters to groups, written out as nested loops over names."""

from __future__ import annotations

import re


def first_match(model, groups):
    """Return {parameter name: group name} for the trainable parameters; groups are the configured mappings.

    Types are classes here. Without a group marked is_fallback what is left goes to "fallback".
    """
    rest = "fallback"
    for group in groups:
        if group.get("is_fallback"):
            rest = group["name"]
    taken = {}
    seen = []
    for module_name, module in model.named_modules():
        for local, parameter in module.named_parameters(recurse=False):
            if any(parameter is other for other in seen) or not parameter.requires_grad:
                continue
            seen.append(parameter)
            winner = rest
            for group in groups:
                if group.get("is_fallback"):
                    continue
                if any(re.search(p, module_name) for p in group.get("exclude_module_name_patterns") or []):
                    continue
                types = group.get("layer_types")
                if types and not isinstance(module, tuple(types)):
                    continue
                if group.get("param_names") and local not in group["param_names"]:
                    continue
                patterns = group.get("module_name_patterns")
                if patterns and not any(re.search(p, module_name) for p in patterns):
                    continue
                winner = group["name"]
                break
            taken[f"{module_name}.{local}" if module_name else local] = winner
    return taken
