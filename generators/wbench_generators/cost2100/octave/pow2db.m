function decibel = pow2db(power)
  % Of the signal package, which COST 2100 calls and a plain Octave lacks.
  decibel = 10 * log10(power);
end
