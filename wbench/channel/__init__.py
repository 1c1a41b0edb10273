"""From rays to channels, and the classical signal processing on them.

Map of the room:

=================  ===================================================================================================
``rays``           :class:`~wbench.channel.rays.Rays`: the one record every simulator ends in
``pattern``        element patterns by name (omni, TR 38.901)
``array``          :class:`~wbench.channel.array.Array`: port order, slants, orientation, steering, field pattern
``front``          what synthesis needs of one array for a chunk of links (float32, component first)
``synthesis``      :class:`~wbench.channel.synthesis.Grid`, ``synthesize``: rays + two arrays + a grid → CFR
``angular_delay``  unitary DFTs between subcarrier and delay, antenna and angle
``codebooks``      DFT beam codebooks, RSRP per beam
``pmi_type1``      3GPP TS 38.214 Type I single-panel codebook
``bits``           payloads with an exact number of bits
``quantise``       uniform, μ-law, Lloyd–Max and vector quantisers, allocation of bits
``noise``          noise per sample id, independent of the batch
``statistics``     delay, Doppler and angular spreads from rays; LoS statistics from a CFR
=================  ===================================================================================================

Modules import on demand; importing the package itself loads nothing.
"""
