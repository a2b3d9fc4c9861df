"""Commands that are not stages. What `stages` sets for a process holds for them; only this file's bytecode is kept.

Whether anything has changed is asked in several modules, because each of them has something else at hand:

- `commands.changed`: the working tree against HEAD, by git, where a commit is to name what there is.
- `changes`: the working tree against dvc.lock, by DVC, where the data may be absent.
- `changes.check_data`: data against their .dvc file, before DVC writes it anew.
- `lockfile.against_itself`: dvc.lock by itself, as after a merge.
- `outdated.reasons`: a revision's dvc.lock against its dvc.yaml, its params.yaml and its files, of which
  `trees.changed_here` or `trees.changed_in_git` tells. The ladder takes the params alone.
- `verify`: the working tree by the hashes of everything, data and results included.
- `stages.provenance.check_unchanged`: a stage's inputs, from its beginning to its end.
"""

import stages  # noqa: F401
