"""What can be typed about the runs that are kept."""

from __future__ import annotations

import argparse


def add_runs(commands) -> None:
    words = "the runs that are kept: discover keeps each, for later and for the app"
    runs = commands.add_parser("runs", help=words, description=words)
    runs.add_argument("--all", action="store_true", help="also those that were deleted")
    runs.add_argument("--json", action="store_true", help="as JSON on standard output")
    actions = runs.add_subparsers(dest="action", metavar="ACTION")
    _on_runs(actions, "delete", "delete runs; for 30 days they can be brought back")
    _on_runs(actions, "restore", "bring deleted runs back")
    rename = _on_run(actions, "rename", "give a run a name; an empty one takes it away")
    rename.add_argument("name", metavar="NAME")
    tag = _on_run(actions, "tag", "give a run tags, in place of those it had; an empty list takes them away")
    tag.add_argument("tags", metavar="TAG,…")
    purge = actions.add_parser("purge", help="remove deleted runs for good", description="remove deleted runs for good")
    purge.add_argument("--days", type=float, default=30.0, help="only those deleted so long ago (default: 30)")


def _on_run(actions, name: str, words: str) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=words, description=words)
    action.add_argument("run", metavar="ID", help="as in the list")
    return action


def _on_runs(actions, name: str, words: str) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=words, description=words)
    action.add_argument("runs", metavar="ID", nargs="+", help="as in the list")
    return action
