# SPDX-License-Identifier: Apache-2.0
"""The notice kit: a poster and the draft of a privacy impact assessment, from the settings in force.

Made by a process of its own (`python -m nigiwai.link.notice`): reading a font of all of East Asia takes 75 MB for some
seconds, which link must not keep.
"""
