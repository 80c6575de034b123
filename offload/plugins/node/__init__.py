"""What runs on the compute node: one pod, in one folder, once.

``python -m offload.plugins.node POD_FOLDER`` is the last line of every batch script.
It claims the pod, puts its volumes in place, runs its containers in the first runtime
that works here (apptainer, bubblewrap, none), and packs what they changed. It needs no
package but Python's own until there is something to unpack or to pack.

Everything that it knows is in files below the folder, so a wrapper that was killed is
started again by the same script and goes on where the other stopped. User code is not
its child: a shim per container (:mod:`offload.plugins.node.shim`) outlives it, and
says how the container ended.

========================================  ==============================================
``pod.json``                              the body of ``/create`` (RetrievedPodData)
``cancelled``                             made by the plugin: stop, somebody wants it
``claim``                                 which allocation runs the pod, and since when
``status/CONTAINER.json``                 its ``v1.ContainerStatus``, replaced atomically
``status/done.json``                      the end (:mod:`offload.plugins.node.ending`)
``logs/CONTAINER.log``                    what it wrote, both streams, byte by byte
``logs/CONTAINER.index``                  lines ``OFFSET SECONDS``: what lies before
                                          OFFSET was written by that time (Unix)
``logs/CONTAINER.previous.log``           the run before, and its ``.previous.index``
``volumes/NAME``                          what is private to the pod and writable
``run/ATTEMPT/CONTAINER.N``               what shim and wrapper tell each other
``layout.json``                           where the working folder lies
``fingerprints``                          its files before anybody could write to them
``outputs.tar.zst``, ``changes.json``     what came out (:mod:`offload.outputs`)
========================================  ==============================================

The wrapper's exit codes are :class:`offload.plugins.node.folder.ExitCode`.
"""
