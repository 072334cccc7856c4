"""What a GitOps tool needs to know of Sinal: health of its kinds for Argo CD, made into files by
`make gitops`.

`health.lua` is one script for all four kinds, because all speak of themselves by the same
conditions. From it come the snippet for `argocd-cm` and the tree in the form that Argo CD's own
repository has.
"""
