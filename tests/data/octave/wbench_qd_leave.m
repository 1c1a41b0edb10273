function out = wbench_qd_leave (request)
% Ends Octave in the middle of a call, for tests.
  exit (request.code);
end
