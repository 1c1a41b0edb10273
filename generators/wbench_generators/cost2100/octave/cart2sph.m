function [azimuth, elevation, radius] = cart2sph(x, y, z)
  % Octave's own without its checks of the arguments, which take longer than the rest of get_channel.
  azimuth = atan2(y, x);
  elevation = atan2(z, sqrt(x .^ 2 + y .^ 2));
  radius = sqrt(x .^ 2 + y .^ 2 + z .^ 2);
end
